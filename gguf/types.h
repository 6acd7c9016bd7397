#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace quern {

// THE list of ggml's tensor types: X(name, printed name, id in the file, weights per block, bytes
// per block). Ids and sizes are ggml's (ggml.h, ggml-common.h, August 2026); gaps are ids that ggml
// gave up. Everything else that is said of all types is made from this list.
#define QUERN_TYPES(X)               \
  X(F32, "f32", 0, 1, 4)             \
  X(F16, "f16", 1, 1, 2)             \
  X(Q4_0, "q4_0", 2, 32, 18)         \
  X(Q4_1, "q4_1", 3, 32, 20)         \
  X(Q5_0, "q5_0", 6, 32, 22)         \
  X(Q5_1, "q5_1", 7, 32, 24)         \
  X(Q8_0, "q8_0", 8, 32, 34)         \
  X(Q8_1, "q8_1", 9, 32, 36)         \
  X(Q2_K, "q2_K", 10, 256, 84)       \
  X(Q3_K, "q3_K", 11, 256, 110)      \
  X(Q4_K, "q4_K", 12, 256, 144)      \
  X(Q5_K, "q5_K", 13, 256, 176)      \
  X(Q6_K, "q6_K", 14, 256, 210)      \
  X(Q8_K, "q8_K", 15, 256, 292)      \
  X(IQ2_XXS, "iq2_xxs", 16, 256, 66) \
  X(IQ2_XS, "iq2_xs", 17, 256, 74)   \
  X(IQ3_XXS, "iq3_xxs", 18, 256, 98) \
  X(IQ1_S, "iq1_s", 19, 256, 50)     \
  X(IQ4_NL, "iq4_nl", 20, 32, 18)    \
  X(IQ3_S, "iq3_s", 21, 256, 110)    \
  X(IQ2_S, "iq2_s", 22, 256, 82)     \
  X(IQ4_XS, "iq4_xs", 23, 256, 136)  \
  X(I8, "i8", 24, 1, 1)              \
  X(I16, "i16", 25, 1, 2)            \
  X(I32, "i32", 26, 1, 4)            \
  X(I64, "i64", 27, 1, 8)            \
  X(F64, "f64", 28, 1, 8)            \
  X(IQ1_M, "iq1_m", 29, 256, 56)     \
  X(BF16, "bf16", 30, 1, 2)          \
  X(TQ1_0, "tq1_0", 34, 256, 54)     \
  X(TQ2_0, "tq2_0", 35, 256, 66)     \
  X(MXFP4, "mxfp4", 39, 32, 17)      \
  X(NVFP4, "nvfp4", 40, 64, 36)      \
  X(Q1_0, "q1_0", 41, 128, 18)       \
  X(Q2_0, "q2_0", 42, 64, 18)

enum class Type : uint32_t {
#define QUERN_TYPE_ENUM(name, text, id, elems, bytes) k##name = id,
  QUERN_TYPES(QUERN_TYPE_ENUM)
#undef QUERN_TYPE_ENUM
};

struct TypeInfo {
  Type type;
  std::string_view name;  // as ggml prints it: "q4_K"
  int64_t elems;          // weights per block
  int64_t bytes;          // bytes per block
};

inline constexpr auto kTypes = std::to_array<TypeInfo>({
#define QUERN_TYPE_INFO(name, text, id, elems, bytes) {Type::k##name, text, elems, bytes},
    QUERN_TYPES(QUERN_TYPE_INFO)
#undef QUERN_TYPE_INFO
});

// The entry of `type`, which must be of the list.
const TypeInfo& InfoOf(Type type);
inline std::string_view NameOf(Type type) { return InfoOf(type).name; }

// The type with this id, if ggml has it.
std::optional<Type> TypeFromId(uint32_t id);
// The type of this name in any case ("Q4_K", "q4_k"), if there is one.
std::optional<Type> TypeFromName(std::string_view name);

inline bool IsQuantized(Type type) { return InfoOf(type).elems > 1; }
// f32, f16, bf16 or f64: weights that stand for themselves.
bool IsFloat(Type type);

// Bytes of a row of `cols` weights; cols must be a multiple of the block.
int64_t RowBytes(Type type, int64_t cols);

}  // namespace quern
