#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "gguf/types.h"

namespace quern {

// THE list of file types, which name a mix of tensor types: X(name, general.file_type, the type
// that most tensors get, a word on it). Ids, names and defaults are llama.cpp's (llama.h,
// llama-quant.cpp, August 2026). Bits per weight are those of the default type.
#define QUERN_FILE_TYPES(X)                                                \
  X(F32, 0, F32, "32 bits")                                                \
  X(F16, 1, F16, "16 bits")                                                \
  X(BF16, 32, BF16, "16 bits, the range of f32")                           \
  X(Q8_0, 7, Q8_0, "8.5 bits, hardly to be told from 16")                  \
  X(Q6_K, 18, Q6_K, "6.6 bits")                                            \
  X(Q5_K_M, 17, Q5_K, "5.5 bits, some tensors at 6.6")                     \
  X(Q5_K_S, 16, Q5_K, "5.5 bits")                                          \
  X(Q5_1, 9, Q5_1, "6 bits, legacy")                                       \
  X(Q5_0, 8, Q5_0, "5.5 bits, legacy")                                     \
  X(Q4_K_M, 15, Q4_K, "4.5 bits, some tensors at 6.6: the usual choice")   \
  X(Q4_K_S, 14, Q4_K, "4.5 bits, some tensors at 5.5")                     \
  X(Q4_1, 3, Q4_1, "5 bits, legacy")                                       \
  X(Q4_0, 2, Q4_0, "4.5 bits, legacy")                                     \
  X(IQ4_NL, 25, IQ4_NL, "4.5 bits, non-linear")                            \
  X(IQ4_XS, 30, IQ4_XS, "4.25 bits, non-linear")                           \
  X(MXFP4_MOE, 38, MXFP4, "4.25 bits for experts, 8.5 for the rest")       \
  X(Q3_K_L, 13, Q3_K, "3.4 bits, some tensors at 5.5")                     \
  X(Q3_K_M, 12, Q3_K, "3.4 bits, some tensors at 4.5")                     \
  X(Q3_K_S, 11, Q3_K, "3.4 bits")                                          \
  X(IQ3_M, 27, IQ3_S, "3.4 bits, some tensors at 4.5")                     \
  X(IQ3_S, 26, IQ3_S, "3.4 bits")                                          \
  X(IQ3_XS, 22, IQ3_S, "3.4 bits, some tensors at 3.1")                    \
  X(IQ3_XXS, 23, IQ3_XXS, "3.1 bits, needs an importance matrix")          \
  X(Q2_K, 10, Q2_K, "2.6 bits, some tensors at 3.4")                       \
  X(Q2_K_S, 21, Q2_K, "2.6 bits, needs an importance matrix")              \
  X(IQ2_M, 29, IQ2_S, "2.6 bits, needs an importance matrix")              \
  X(IQ2_S, 28, IQ2_XS, "2.3 bits, needs an importance matrix")             \
  X(IQ2_XS, 20, IQ2_XS, "2.3 bits, needs an importance matrix")            \
  X(IQ2_XXS, 19, IQ2_XXS, "2.1 bits, needs an importance matrix")          \
  X(IQ1_M, 31, IQ1_M, "1.75 bits, needs an importance matrix")             \
  X(IQ1_S, 24, IQ1_S, "1.6 bits, needs an importance matrix")              \
  X(TQ2_0, 37, TQ2_0, "2.1 bits, for models trained with ternary weights") \
  X(TQ1_0, 36, TQ1_0, "1.7 bits, for models trained with ternary weights") \
  X(Q2_0, 41, Q2_0, "2.25 bits, groups of 64")                             \
  X(Q1_0, 40, Q1_0, "1.1 bits, groups of 128")

enum class FileType {
#define QUERN_FILE_TYPE_ENUM(name, id, type, about) k##name,
  QUERN_FILE_TYPES(QUERN_FILE_TYPE_ENUM)
#undef QUERN_FILE_TYPE_ENUM
};

struct FileTypeInfo {
  FileType file_type;
  std::string_view name;  // as llama-quantize prints it: "Q4_K_M"
  uint32_t id;            // general.file_type
  Type type;              // what most tensors get
  std::string_view about;
};

inline constexpr auto kFileTypes = std::to_array<FileTypeInfo>({
#define QUERN_FILE_TYPE_INFO(name, id, type, about) \
  {FileType::k##name, #name, id, Type::k##type, about},
    QUERN_FILE_TYPES(QUERN_FILE_TYPE_INFO)
#undef QUERN_FILE_TYPE_INFO
});

inline const FileTypeInfo& InfoOf(FileType type) { return kFileTypes[static_cast<size_t>(type)]; }
inline std::string_view NameOf(FileType type) { return InfoOf(type).name; }

// The file type of this name in any case, or of this number: "q4_k_m", "Q4_K" (which means
// Q4_K_M, as Q3_K and Q5_K do), "15".
std::optional<FileType> FileTypeFromName(std::string_view name);

}  // namespace quern
