#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#include "kernels/formats/blocks.h"
#include "kernels/formats/grids.h"
#include "kernels/ops/avx512.h"

// Weights as small integers, for products with activations of 8 bits: of each group of weights
//   weight = scale * (code - bias) + offset,
// where codes are 0..255. Codes<Block> tells a type's numbers and unpacks a run of 256 weights of a
// row into registers, in their order. A type without one is multiplied in float32.
//
//   kBlock    weights of a block: 32 or 256
//   kBias     what zero is
//   kGroup    weights that share scale and offset: 16 or 32
//   kOffsets  whether there are offsets
//   kOffsetLane  in which lane of RunCodes::offsets the first group's stands
//   kScalePer32  whether the activations have a scale per 32, else per 256, as llama.cpp's have
namespace quern {

inline constexpr int kRun = 256;

struct RunCodes {
  __m512i codes[4];
  __m512 scales;   // lane i: of group i
  __m512 offsets;  // lane kOffsetLane + i: of group i; anything in the others
};

template <class Block>
struct Codes;

struct CodesOf256 {
  static constexpr int kBlock = 256, kGroup = 32, kOffsetLane = 0;
  static constexpr bool kOffsets = false, kScalePer32 = false;
};

// 64-bit lanes of shifts for one quarter of a vector each.
QUERN_VNNI_INLINE __m512i Quarters(int a, int b, int c, int d) {
  return _mm512_setr_epi64(a, a, b, b, c, c, d, d);
}
QUERN_VNNI_INLINE __m256i Load32(const void* from) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(from));
}
QUERN_VNNI_INLINE __m128i Load16(const void* from) {
  return _mm_loadu_si128(static_cast<const __m128i*>(from));
}
QUERN_VNNI_INLINE int Load4(const void* from) {
  int value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}
QUERN_VNNI_INLINE float Half(uint16_t bits) {
  return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(bits)));
}
// Bytes of a mask's lanes grow by `value`.
QUERN_VNNI_INLINE __m512i AddWhere(__mmask64 mask, __m512i codes, char value) {
  return _mm512_mask_add_epi8(codes, mask, codes, _mm512_set1_epi8(value));
}

// The nibbles of two blocks of 16 bytes: of each its low nibbles, then its high ones.
QUERN_VNNI_INLINE __m512i NibblesOfTwo(const uint8_t* first, const uint8_t* second) {
  const __m512i both =
      _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_broadcastsi128_si256(Load16(first))),
                         _mm256_broadcastsi128_si256(Load16(second)), 1);
  return _mm512_and_si512(_mm512_srlv_epi64(both, Quarters(0, 4, 0, 4)), _mm512_set1_epi8(15));
}
// The nibbles of 32 bytes: all low ones, then all high ones.
QUERN_VNNI_INLINE __m512i Nibbles(const uint8_t* bytes) {
  const __m512i twice = _mm512_broadcast_i64x4(Load32(bytes));
  return _mm512_and_si512(_mm512_srlv_epi64(twice, Quarters(0, 0, 4, 4)), _mm512_set1_epi8(15));
}
// The two bits from `bit` on of 32 bytes, then the two after those.
QUERN_VNNI_INLINE __m512i BitPairs(const uint8_t* bytes, int bit) {
  const __m512i twice = _mm512_broadcast_i64x4(Load32(bytes));
  const __m512i shifts = Quarters(bit, bit, bit + 2, bit + 2);
  return _mm512_and_si512(_mm512_srlv_epi64(twice, shifts), _mm512_set1_epi8(3));
}
// Bit `bit` of 32 bytes, then bit `bit + 1`.
QUERN_VNNI_INLINE __mmask64 BitsOf(const uint8_t* bytes, int bit) {
  const __m512i bits = _mm512_inserti64x4(_mm512_set1_epi8(static_cast<char>(1 << bit)),
                                          _mm256_set1_epi8(static_cast<char>(1 << (bit + 1))), 1);
  return _mm512_test_epi8_mask(_mm512_broadcast_i64x4(Load32(bytes)), bits);
}

// The half-precision d of eight blocks, in lanes 0..7.
template <class Block>
QUERN_VNNI_INLINE __m512 EightScales(const Block* b) {
  __m128i halves = _mm_cvtsi32_si128(b[0].d);
  halves = _mm_insert_epi16(halves, static_cast<int16_t>(b[1].d), 1);
  halves = _mm_insert_epi16(halves, static_cast<int16_t>(b[2].d), 2);
  halves = _mm_insert_epi16(halves, static_cast<int16_t>(b[3].d), 3);
  halves = _mm_insert_epi16(halves, static_cast<int16_t>(b[4].d), 4);
  halves = _mm_insert_epi16(halves, static_cast<int16_t>(b[5].d), 5);
  halves = _mm_insert_epi16(halves, static_cast<int16_t>(b[6].d), 6);
  halves = _mm_insert_epi16(halves, static_cast<int16_t>(b[7].d), 7);
  return _mm512_zextps256_ps512(_mm256_cvtph_ps(halves));
}

// d of eight blocks in lanes 0..7 and the m that follows each in 8..15.
template <class Block>
QUERN_VNNI_INLINE __m512 EightScalesAndOffsets(const Block* b) {
  __m128i low = _mm_cvtsi32_si128(Load4(&b[0].d)), high = _mm_cvtsi32_si128(Load4(&b[4].d));
  low = _mm_insert_epi32(low, Load4(&b[1].d), 1);
  low = _mm_insert_epi32(low, Load4(&b[2].d), 2);
  low = _mm_insert_epi32(low, Load4(&b[3].d), 3);
  high = _mm_insert_epi32(high, Load4(&b[5].d), 1);
  high = _mm_insert_epi32(high, Load4(&b[6].d), 2);
  high = _mm_insert_epi32(high, Load4(&b[7].d), 3);
  const __m512 pairs =
      _mm512_cvtph_ps(_mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1));
  const __m512i order = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);
  return _mm512_permutexvar_ps(order, pairs);
}

// The fifth bits of two blocks are a mask over their codes.
template <class Block>
QUERN_VNNI_INLINE __m512i FivesOfTwo(const Block* b) {
  const uint64_t high = static_cast<uint64_t>(static_cast<uint32_t>(Load4(b[1].qh))) << 32 |
                        static_cast<uint32_t>(Load4(b[0].qh));
  return AddWhere(high, NibblesOfTwo(b[0].qs, b[1].qs), 16);
}

// The sixteen values of iq4_nl and iq4_xs, biased.
QUERN_VNNI_INLINE __m512i Iq4Codes(__m512i indices) {
  static constexpr auto kValues = [] {
    std::array<uint8_t, 16> values{};
    for (size_t i = 0; i < 16; ++i) values[i] = static_cast<uint8_t>(kIq4Weights[i] + 128);
    return values;
  }();
  return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(Load16(kValues.data())), indices);
}

// The codes of two blocks of 32.
QUERN_VNNI_INLINE __m512i CodesOfTwo(const BlockQ4_0* b) { return NibblesOfTwo(b[0].qs, b[1].qs); }
QUERN_VNNI_INLINE __m512i CodesOfTwo(const BlockQ4_1* b) { return NibblesOfTwo(b[0].qs, b[1].qs); }
QUERN_VNNI_INLINE __m512i CodesOfTwo(const BlockQ5_0* b) { return FivesOfTwo(b); }
QUERN_VNNI_INLINE __m512i CodesOfTwo(const BlockQ5_1* b) { return FivesOfTwo(b); }
QUERN_VNNI_INLINE __m512i CodesOfTwo(const BlockIQ4_NL* b) {
  return Iq4Codes(NibblesOfTwo(b[0].qs, b[1].qs));
}
QUERN_VNNI_INLINE __m512i CodesOfTwo(const BlockQ8_0* b) {
  const __m512i both =
      _mm512_inserti64x4(_mm512_castsi256_si512(Load32(b[0].qs)), Load32(b[1].qs), 1);
  return _mm512_xor_si512(both, _mm512_set1_epi8(-128));
}

// Blocks of 32 with a scale d; those that have a minimum m, too, have no bias.
template <class Block, int kBiasOfCodes>
struct CodesOf32 {
  static constexpr bool kOffsets = requires(Block block) { block.m; };
  static constexpr int kBlock = 32, kGroup = 32, kBias = kBiasOfCodes;
  static constexpr int kOffsetLane = kOffsets ? 8 : 0;
  static constexpr bool kScalePer32 = true;
  QUERN_VNNI_INLINE static void Unpack(const Block* b, RunCodes& run) {
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) run.codes[v] = CodesOfTwo(b + 2 * v);
    if constexpr (kOffsets) {
      run.scales = run.offsets = EightScalesAndOffsets(b);
    } else {
      run.scales = EightScales(b);
    }
  }
};
template <>
struct Codes<BlockQ4_0> : CodesOf32<BlockQ4_0, 8> {};
template <>
struct Codes<BlockQ4_1> : CodesOf32<BlockQ4_1, 0> {};
template <>
struct Codes<BlockQ5_0> : CodesOf32<BlockQ5_0, 16> {};
template <>
struct Codes<BlockQ5_1> : CodesOf32<BlockQ5_1, 0> {};
template <>
struct Codes<BlockQ8_0> : CodesOf32<BlockQ8_0, 128> {};
template <>
struct Codes<BlockIQ4_NL> : CodesOf32<BlockIQ4_NL, 128> {};

template <>
struct Codes<BlockQ2_K> : CodesOf256 {
  static constexpr int kBias = 0, kGroup = 16;
  static constexpr bool kOffsets = true;
  QUERN_VNNI_INLINE static void Unpack(const BlockQ2_K* b, RunCodes& run) {
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) run.codes[v] = BitPairs(b->qs + 32 * (v / 2), 4 * (v % 2));
    const __m512i both = _mm512_cvtepu8_epi32(Load16(b->scales));
    const __m512i scales = _mm512_and_si512(both, _mm512_set1_epi32(15));
    const __m512i minima = _mm512_srli_epi32(both, 4);
    run.scales = _mm512_mul_ps(_mm512_cvtepi32_ps(scales), _mm512_set1_ps(Half(b->d)));
    run.offsets = _mm512_mul_ps(_mm512_cvtepi32_ps(minima), _mm512_set1_ps(-Half(b->dmin)));
  }
};

template <>
struct Codes<BlockQ3_K> : CodesOf256 {
  static constexpr int kBias = 4, kGroup = 16;
  QUERN_VNNI_INLINE static void Unpack(const BlockQ3_K* b, RunCodes& run) {
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) {
      const __m512i low = BitPairs(b->qs + 32 * (v / 2), 4 * (v % 2));
      run.codes[v] = AddWhere(BitsOf(b->hmask, 2 * v), low, 4);
    }
    // Bytes 0..7 have the low nibbles of the scales 0..7, then of 8..15; the others two bits each.
    int64_t nibbles;
    std::memcpy(&nibbles, b->scales, sizeof(nibbles));
    const __m128i low = _mm_and_si128(
        _mm_srlv_epi64(_mm_set1_epi64x(nibbles), _mm_set_epi64x(4, 0)), _mm_set1_epi8(15));
    const __m128i high = _mm_and_si128(
        _mm_srlv_epi32(_mm_set1_epi32(Load4(b->scales + 8)), _mm_setr_epi32(0, 2, 4, 6)),
        _mm_set1_epi8(3));
    const __m512i scales = _mm512_cvtepu8_epi32(_mm_or_si128(low, _mm_slli_epi16(high, 4)));
    run.scales = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_sub_epi32(scales, _mm512_set1_epi32(32))),
                               _mm512_set1_ps(Half(b->d)));
  }
};

// d times the eight scales of 6 bits in lanes 0..7, -dmin times the eight minima in 8..15: of the
// 16 bytes d, dmin, scales that q4_K and q5_K begin with.
template <class Block>
QUERN_VNNI_INLINE __m512 SixBitScales(const Block* b) {
  const __m128i bytes = Load16(b);
  // Dwords 1 and 2 have the scales and minima 0..3, dword 3 the low nibbles of both's 4..7, whose
  // high bits are the highest of dwords 1 and 2.
  const __m128i low = _mm_and_si128(
      _mm_srlv_epi32(_mm_shuffle_epi32(bytes, 0b11'10'11'01), _mm_setr_epi32(0, 0, 0, 4)),
      _mm_setr_epi32(0x3f3f3f3f, 0x0f0f0f0f, 0x3f3f3f3f, 0x0f0f0f0f));
  const __m128i high = _mm_and_si128(_mm_srli_epi32(_mm_shuffle_epi32(bytes, 0b10'10'01'01), 2),
                                     _mm_setr_epi32(0, 0x30303030, 0, 0x30303030));
  const __m512 sixes = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_or_si128(low, high)));
  const __m512 factors = _mm512_permutexvar_ps(
      _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1),
      _mm512_castps128_ps512(_mm_xor_ps(_mm_cvtph_ps(bytes), _mm_setr_ps(0, -0.0f, 0, 0))));
  return _mm512_mul_ps(sixes, factors);
}

template <>
struct Codes<BlockQ4_K> : CodesOf256 {
  static constexpr int kBias = 0, kOffsetLane = 8;
  static constexpr bool kOffsets = true;
  QUERN_VNNI_INLINE static void Unpack(const BlockQ4_K* b, RunCodes& run) {
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) run.codes[v] = Nibbles(b->qs + 32 * v);
    run.scales = run.offsets = SixBitScales(b);
  }
};

template <>
struct Codes<BlockQ5_K> : CodesOf256 {
  static constexpr int kBias = 0, kOffsetLane = 8;
  static constexpr bool kOffsets = true;
  QUERN_VNNI_INLINE static void Unpack(const BlockQ5_K* b, RunCodes& run) {
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) {
      run.codes[v] = AddWhere(BitsOf(b->qh, 2 * v), Nibbles(b->qs + 32 * v), 16);
    }
    run.scales = run.offsets = SixBitScales(b);
  }
};

template <>
struct Codes<BlockQ6_K> : CodesOf256 {
  static constexpr int kBias = 32, kGroup = 16;
  QUERN_VNNI_INLINE static void Unpack(const BlockQ6_K* b, RunCodes& run) {
    const __m512i nibble = _mm512_set1_epi8(15), six = _mm512_set1_epi8(63);
#pragma GCC unroll 2
    for (int n = 0; n < 2; ++n) {
      const __m512i low = _mm512_loadu_si512(b->ql + 64 * n);
      const __m512i high = _mm512_broadcast_i64x4(Load32(b->qh + 32 * n));
      const __m512i first = _mm512_sllv_epi64(high, Quarters(4, 4, 2, 2));
      const __m512i second = _mm512_srlv_epi64(high, Quarters(0, 0, 2, 2));
      // 0xca: where `nibble` has a bit the first operand's, else the second's.
      run.codes[2 * n] = _mm512_and_si512(_mm512_ternarylogic_epi64(nibble, low, first, 0xca), six);
      run.codes[2 * n + 1] = _mm512_and_si512(
          _mm512_ternarylogic_epi64(nibble, _mm512_srli_epi16(low, 4), second, 0xca), six);
    }
    const __m512 scales = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(Load16(b->scales)));
    run.scales = _mm512_mul_ps(scales, _mm512_set1_ps(Half(b->d)));
  }
};

template <>
struct Codes<BlockIQ4_XS> : CodesOf256 {
  static constexpr int kBias = 128;
  QUERN_VNNI_INLINE static void Unpack(const BlockIQ4_XS* b, RunCodes& run) {
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) {
      run.codes[v] = Iq4Codes(NibblesOfTwo(b->qs + 32 * v, b->qs + 32 * v + 16));
    }
    const __m256i eight = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i low = _mm256_and_si256(
        _mm256_srlv_epi32(_mm256_set1_epi32(Load4(b->scales_l)), _mm256_slli_epi32(eight, 2)),
        _mm256_set1_epi32(15));
    const __m256i high = _mm256_and_si256(
        _mm256_srlv_epi32(_mm256_set1_epi32(b->scales_h), _mm256_slli_epi32(eight, 1)),
        _mm256_set1_epi32(3));
    const __m256i scales =
        _mm256_sub_epi32(_mm256_or_si256(low, _mm256_slli_epi32(high, 4)), _mm256_set1_epi32(32));
    run.scales = _mm512_zextps256_ps512(
        _mm256_mul_ps(_mm256_cvtepi32_ps(scales), _mm256_set1_ps(Half(b->d))));
  }
};

}  // namespace quern
