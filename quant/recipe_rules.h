#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "quant/file_type.h"
#include "quant/tensor_class.h"

// THE mixes: which tensors of a file type get another type than its default. Facts of
// llama-quantize (llama-quant.cpp, August 2026) as data; recipe.cc walks the rows.
namespace quern::recipe {

template <typename T>
struct SetOf {
  uint64_t bits = 0;
  constexpr SetOf(T value)
      : bits(uint64_t{1} << static_cast<int>(value)) {}  // NOLINT: reads as one
  constexpr SetOf(std::initializer_list<T> values) {
    for (const T value : values) bits |= uint64_t{1} << static_cast<int>(value);
  }
  constexpr bool Has(T value) const { return bits >> static_cast<int>(value) & 1; }
  static constexpr SetOf All() {
    SetOf set({});
    set.bits = ~uint64_t{0};
    return set;
  }
};
using Classes = SetOf<TensorClass>;
using FileTypes = SetOf<FileType>;

// What must hold for a row. i is the tensor's place among those of its class (of an FFN tensor of
// a model of experts: its layer), n how many there are (of FFN tensors: the layers).
enum When : uint32_t {
  kAlways = 0,
  kGqa4 = 1 << 0,      // at least 4 query heads to a key-value head
  kExperts4 = 1 << 1,  // at least 4 experts
  kExperts8 = 1 << 2,  // exactly 8, as in Mixtral
  kMatrix = 1 << 3,    // the file is made with an importance matrix
  kNoMatrix = 1 << 4,
  kFalcon = 1 << 5,
  kNotFalcon = 1 << 6,
  k70B = 1 << 7,         // see kLargeModels
  kStacked = 1 << 8,     // the tensor has a third dimension
  kMisfit = 1 << 9,      // its row is no whole number of blocks of the default type
  kFirst2 = 1 << 10,     // i < 2
  kFirst4 = 1 << 11,     // i < 4
  kFirst16th = 1 << 12,  // i < n / 16
  kFirst8th = 1 << 13,   // i < n / 8
  kMiddle = 1 << 14,     // n / 8 <= i < 7 n / 8
  kMore = 1 << 15,       // the first and the last eighth, and every third between
};

struct Rule {
  Classes classes;
  FileTypes file_types;
  uint32_t when;
  Type type;
};

inline constexpr Classes kAnyClass = Classes::All();
inline constexpr FileTypes kAnyFile = FileTypes::All();
inline constexpr FileTypes kIq1 = {FileType::kIQ1_S, FileType::kIQ1_M};
inline constexpr FileTypes kIq2Large = {FileType::kIQ2_S, FileType::kIQ2_M};
inline constexpr FileTypes kIq2Small = {FileType::kIQ2_XXS, FileType::kIQ2_XS};
inline constexpr FileTypes kIq1Iq2 = {FileType::kIQ1_S,  FileType::kIQ1_M, FileType::kIQ2_XXS,
                                      FileType::kIQ2_XS, FileType::kIQ2_S, FileType::kIQ2_M};
inline constexpr FileTypes kIq4 = {FileType::kIQ4_NL, FileType::kIQ4_XS};
inline constexpr FileTypes kMoe = FileType::kMXFP4_MOE;

// The first row that fits decides; where none does, the default stands.
inline constexpr Rule kMix[] = {
    // The output, and an embedding that serves as one.
    {TensorClass::kOutput, kMoe, kAlways, Type::kQ8_0},
    {TensorClass::kOutput, kAnyFile, kFalcon, Type::kQ8_0},
    {TensorClass::kOutput, kAnyFile, kMisfit, Type::kQ8_0},
    {TensorClass::kOutput, kIq1Iq2, kAlways, Type::kQ5_K},
    {TensorClass::kOutput, FileType::kIQ3_XXS, kAlways, Type::kQ5_K},
    {TensorClass::kOutput, FileType::kQ8_0, kAlways, Type::kQ8_0},
    {TensorClass::kOutput, kAnyFile, kAlways, Type::kQ6_K},

    {kAnyClass, kMoe, kStacked, Type::kMXFP4},
    {kAnyClass, kMoe, kAlways, Type::kQ8_0},

    {TensorClass::kEmbedding, kIq1, kAlways, Type::kQ2_K},
    {TensorClass::kEmbedding, kIq2Small, kAlways, Type::kQ2_K},
    {TensorClass::kEmbedding, kIq2Large, kAlways, Type::kIQ3_S},
    {TensorClass::kEmbedding, FileType::kIQ3_XXS, kAlways, Type::kIQ3_S},
    {TensorClass::kEmbedding,
     {FileType::kTQ1_0, FileType::kTQ2_0, FileType::kQ2_0},
     kAlways,
     Type::kQ4_K},

    // One and two bits.
    {TensorClass::kV, kIq1Iq2, kGqa4, Type::kQ4_K},
    {TensorClass::kV, kIq1Iq2, kExperts4, Type::kQ4_K},
    {TensorClass::kV, kIq2Large, kAlways, Type::kIQ3_S},
    {TensorClass::kV, kIq1Iq2, kAlways, Type::kQ2_K},
    {TensorClass::kK, kIq1Iq2, kExperts8, Type::kQ4_K},
    {TensorClass::kDown, kIq2Large, kFirst8th, Type::kIQ3_S},
    {TensorClass::kDown, kIq1Iq2, kFirst8th, Type::kQ2_K},
    {TensorClass::kAttnOutput, kIq1Iq2, kExperts8, Type::kQ5_K},
    {TensorClass::kAttnOutput, kIq1, kAlways, Type::kIQ2_XXS},
    {TensorClass::kAttnOutput, kIq2Large, kAlways, Type::kIQ3_S},

    {TensorClass::kV, FileType::kQ2_K, kGqa4, Type::kQ4_K},
    {TensorClass::kV, FileType::kQ2_K, kAlways, Type::kQ3_K},
    {TensorClass::kV,
     {FileType::kQ2_K_S, FileType::kIQ3_XXS, FileType::kIQ3_XS, FileType::kIQ3_S},
     kGqa4,
     Type::kQ4_K},
    {TensorClass::kV, FileType::kIQ3_XXS, kNoMatrix, Type::kIQ3_S},
    {TensorClass::kV, FileType::kIQ3_M, kAlways, Type::kQ4_K},
    {TensorClass::kV, FileType::kQ3_K_M, kFirst2, Type::kQ5_K},
    {TensorClass::kV, FileType::kQ3_K_M, kAlways, Type::kQ4_K},
    {TensorClass::kV, FileType::kQ3_K_L, kAlways, Type::kQ5_K},
    {TensorClass::kV, kIq4, kGqa4, Type::kQ5_K},
    {TensorClass::kV, {FileType::kQ4_K_M, FileType::kQ5_K_M}, kMore, Type::kQ6_K},
    {TensorClass::kV, FileType::kQ4_K_S, kFirst4, Type::kQ5_K},

    {TensorClass::kK, kAnyFile, kExperts8, Type::kQ8_0},
    {{TensorClass::kK, TensorClass::kQ}, FileType::kIQ3_XS, kAlways, Type::kIQ3_XXS},
    {{TensorClass::kK, TensorClass::kQ}, FileType::kIQ3_XXS, kAlways, Type::kIQ2_S},

    {TensorClass::kDown, FileType::kQ2_K, kAlways, Type::kQ3_K},
    {TensorClass::kDown, FileType::kQ2_K_S, kFirst8th, Type::kQ4_K},
    {TensorClass::kDown, FileType::kIQ3_XXS, kNoMatrix | kFirst8th, Type::kQ4_K},
    {TensorClass::kDown, FileType::kIQ3_XXS, kNoMatrix, Type::kQ3_K},
    {TensorClass::kDown, FileType::kQ3_K_M, kFirst16th, Type::kQ5_K},
    {TensorClass::kDown, FileType::kQ3_K_M, kNotFalcon, Type::kQ4_K},
    {TensorClass::kDown, FileType::kQ3_K_M, kMore, Type::kQ4_K},
    {TensorClass::kDown, FileType::kQ3_K_M, kAlways, Type::kQ3_K},
    {TensorClass::kDown, FileType::kIQ3_M, kFirst8th, Type::kQ4_K},
    {TensorClass::kDown, FileType::kIQ3_M, kExperts8 | kMore, Type::kQ4_K},
    {TensorClass::kDown, FileType::kQ3_K_L, kFalcon, Type::kQ4_K},
    {TensorClass::kDown, FileType::kQ3_K_L, kAlways, Type::kQ5_K},
    {TensorClass::kDown, FileType::kQ4_K_M, kFalcon | kFirst16th, Type::kQ6_K},
    {TensorClass::kDown, FileType::kQ4_K_M, kFalcon | kMore, Type::kQ5_K},
    {TensorClass::kDown, FileType::kQ4_K_M, kNotFalcon | kMore, Type::kQ6_K},
    {TensorClass::kDown, kIq4, kNoMatrix | kFirst8th, Type::kQ5_K},
    {TensorClass::kDown, FileType::kQ5_K_M, kMore, Type::kQ6_K},
    {TensorClass::kDown, FileType::kQ4_K_S, kNotFalcon | kFirst8th, Type::kQ5_K},
    {TensorClass::kDown, FileType::kQ4_0, kMatrix | kFirst8th, Type::kQ4_1},
    {TensorClass::kDown, FileType::kQ5_0, kMatrix | kFirst8th, Type::kQ5_1},

    {TensorClass::kAttnOutput,
     {FileType::kQ2_K, FileType::kQ3_K_S, FileType::kQ3_K_M, FileType::kQ4_K_S, FileType::kQ4_K_M,
      FileType::kIQ3_XXS, FileType::kIQ3_XS, FileType::kIQ3_S, FileType::kIQ3_M, FileType::kIQ4_NL,
      FileType::kIQ4_XS},
     kNotFalcon | kExperts8,
     Type::kQ5_K},
    {TensorClass::kAttnOutput, FileType::kQ3_K_L, kFalcon, Type::kQ4_K},
    // With 8 experts Q3_K_L keeps its default here.
    {TensorClass::kAttnOutput, FileType::kQ3_K_L, kExperts8, Type::kQ3_K},
    {TensorClass::kAttnOutput, FileType::kQ2_K, kNotFalcon, Type::kQ3_K},
    {TensorClass::kAttnOutput, FileType::kIQ3_XXS, kNotFalcon, Type::kIQ3_S},
    {TensorClass::kAttnOutput, {FileType::kQ3_K_M, FileType::kIQ3_M}, kNotFalcon, Type::kQ4_K},
    {TensorClass::kAttnOutput, FileType::kQ3_K_L, kAlways, Type::kQ5_K},

    {{TensorClass::kGate, TensorClass::kUp}, FileType::kIQ3_XS, kMiddle, Type::kIQ3_XXS},
};

// What then happens to v-like tensors, row by row, unless the file type is of kIq1Iq2 or kMoe.
struct Raise {
  uint32_t when;
  bool from_q3_and_q4_alone;
  Type type;
};
inline constexpr Raise kRaiseV[] = {{k70B, true, Type::kQ5_K}, {kExperts8, false, Type::kQ8_0}};

// Models of the 70B class, whose attn_v serves 8 query heads each.
struct LargeModel {
  std::string_view arch;
  int64_t layers;
  bool needs_gqa;
};
inline constexpr LargeModel kLargeModels[] = {{"llama", 80, true},
                                              {"qwen2", 80, false},
                                              {"deci", 80, false},
                                              {"olmo", 80, false},
                                              {"jais2", 68, false}};

// Where a row is no whole number of blocks: the next type, and f16 where that does not fit either.
struct Fallback {
  Type from, to;
};
inline constexpr Fallback kFallbacks[] = {
    {Type::kIQ1_S, Type::kIQ4_NL},  {Type::kIQ1_M, Type::kIQ4_NL},  {Type::kIQ2_XXS, Type::kIQ4_NL},
    {Type::kIQ2_XS, Type::kIQ4_NL}, {Type::kIQ2_S, Type::kIQ4_NL},  {Type::kIQ3_XXS, Type::kIQ4_NL},
    {Type::kIQ3_S, Type::kIQ4_NL},  {Type::kIQ4_XS, Type::kIQ4_NL}, {Type::kQ2_0, Type::kQ4_0},
    {Type::kQ2_K, Type::kQ4_0},     {Type::kQ3_K, Type::kQ4_0},     {Type::kTQ1_0, Type::kQ4_0},
    {Type::kTQ2_0, Type::kQ4_0},    {Type::kQ4_K, Type::kQ5_0},     {Type::kQ5_K, Type::kQ5_1},
    {Type::kQ6_K, Type::kQ8_0},
};

}  // namespace quern::recipe
