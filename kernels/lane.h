#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

// Stands before what a CUDA thread runs too.
#ifdef __CUDACC__
#define QUERN_LANE __host__ __device__
#else
#define QUERN_LANE
#endif

// An encoder is written once, over a lane type L: its values stand for the numbers of one block,
// and L decides how many blocks go side by side. ScalarLane is one block in plain floats (a CUDA
// thread likewise); VectorLane (lane_highway-inl.h) is one block per element of a SIMD register. No
// operation crosses lanes, so every target does the same float32 operations in the same order and
// gives the same bytes.
//
// What L has:
//   F, I, M        a float, an int32 and a truth value per lane; kMax lanes at most
//   F + - * /      each rounds once; < > <= >= == give M. I + - * & | wrap
//   Set, SetI      the same number in every lane
//   Select         mask ? a : b, of F or of I
//   Min, Max       a < b ? a : b and a > b ? a : b, so of two numbers the second where one is NaN
//   Round          to the nearest integer, half to even, of what is below 2^22
//   AtLeast        Max with a bound of 0 or below, by the order of the bits: a NaN counts as the
//                  largest number of its sign
//   AtMost         Min with a bound above 0, likewise
//   ToInt          truncates; INT32_MIN for what int32 cannot hold and for NaN, as x86 does
//   Load, Store    lane-interleaved memory: element i of all lanes lies together, aligned
//   Near           the lane type for numbers that lie next to each other in one block

namespace quern {

// 1.5 * 2^23: added to a float below 2^22, it leaves the nearest integer in the lowest bits.
inline constexpr float kRoundingMagic = 12582912.0f;

struct ScalarLane {
  using F = float;
  using I = int32_t;
  using M = bool;
  using Near = ScalarLane;
  static constexpr int kMax = 1;
  static constexpr int Lanes() { return 1; }

  static QUERN_LANE F Set(float value) { return value; }
  static QUERN_LANE I SetI(int32_t value) { return value; }
  static QUERN_LANE F Load(const float* p) { return *p; }
  static QUERN_LANE I LoadI(const int32_t* p) { return *p; }
  static QUERN_LANE void Store(F value, float* p) { *p = value; }
  static QUERN_LANE void StoreI(I value, int32_t* p) { *p = value; }

  static QUERN_LANE F Select(M mask, F yes, F no) { return mask ? yes : no; }
  static QUERN_LANE I Select(M mask, I yes, I no) { return mask ? yes : no; }
  static QUERN_LANE M And(M a, M b) { return a && b; }
  static QUERN_LANE M Or(M a, M b) { return a || b; }
  static QUERN_LANE M Not(M a) { return !a; }
  static QUERN_LANE bool Any(M mask) { return mask; }
  static QUERN_LANE bool All(M mask) { return mask; }
  // A bit per lane, the first lowest.
  static QUERN_LANE uint32_t MaskBits(M mask) { return mask; }

  static QUERN_LANE F Abs(F value) { return std::fabs(value); }
  static QUERN_LANE F Neg(F value) { return -value; }
  static QUERN_LANE F Sqrt(F value) { return std::sqrt(value); }
  // n / d, where inverse = 1 / d and neither is near the ends of float32's range.
  static QUERN_LANE F Quotient(F n, F d, F) { return n / d; }
  static QUERN_LANE F Min(F a, F b) { return a < b ? a : b; }
  static QUERN_LANE F Max(F a, F b) { return a > b ? a : b; }
  static QUERN_LANE F Round(F value) { return (value + kRoundingMagic) - kRoundingMagic; }
  static QUERN_LANE F AtLeast(F value, float low) {
    if (low == 0) return FromBits(Max(Bits(value), 0));
    const auto bits = static_cast<uint32_t>(Bits(value)), least = static_cast<uint32_t>(Bits(low));
    return FromBits(static_cast<I>(bits < least ? bits : least));
  }
  static QUERN_LANE F AtMost(F value, float high) { return FromBits(Min(Bits(value), Bits(high))); }
  static QUERN_LANE I Min(I a, I b) { return a < b ? a : b; }
  static QUERN_LANE I Max(I a, I b) { return a > b ? a : b; }
  static QUERN_LANE M Equal(I a, I b) { return a == b; }
  static QUERN_LANE M Less(I a, I b) { return a < b; }

  static QUERN_LANE I ToInt(F value) {
    return value >= -2147483648.0f && value < 2147483648.0f ? static_cast<I>(value) : INT32_MIN;
  }
  static QUERN_LANE F ToFloat(I value) { return static_cast<F>(value); }
  static QUERN_LANE I Bits(F value) { return std::bit_cast<I>(value); }
  static QUERN_LANE F FromBits(I bits) { return std::bit_cast<F>(bits); }
  template <int kBits>
  static QUERN_LANE I Shl(I value) {
    return static_cast<I>(static_cast<uint32_t>(value) << kBits);
  }
  // Zeros come in from above.
  template <int kBits>
  static QUERN_LANE I Shr(I value) {
    return static_cast<I>(static_cast<uint32_t>(value) >> kBits);
  }
  // table[index] per lane.
  static QUERN_LANE I Lookup(const int32_t* table, I index) { return table[index]; }
  static QUERN_LANE F Lookup(const float* table, I index) { return table[index]; }
  // The lane's own element `index` of lane-interleaved memory.
  static QUERN_LANE F LookupOwn(const float* values, I index) { return values[index]; }
  // values[lane * stride].
  static QUERN_LANE I LookupStrided(const int32_t* values, int) { return *values; }
  // 2 * level + 1 of the level in the lowest kBits bits, two or three.
  template <int kBits>
  static QUERN_LANE F Odd(I level) {
    // The bits of 2^23 + the odd number.
    return FromBits(Shl<1>(level & ((1 << kBits) - 1)) | 0x4b000001) - 8388608.0f;
  }
  // table[index] of an aligned table of 16.
  static QUERN_LANE F Lookup16(const float* table, I index) { return table[index]; }

  // Neighbours at any address: floats, and 16-bit numbers as unsigned.
  static QUERN_LANE F LoadNear(const float* p) { return *p; }
  static QUERN_LANE I LoadNearI(const int32_t* p) { return *p; }
  static QUERN_LANE void StoreNear(F value, float* p) { *p = value; }
  static QUERN_LANE I LoadHalves(const uint16_t* p) { return *p; }
  static QUERN_LANE void StoreHalves(I value, uint16_t* p) { *p = static_cast<uint16_t>(value); }
  // The lowest byte of each.
  static QUERN_LANE void StoreBytes(I value, uint8_t* p) { *p = static_cast<uint8_t>(value); }

  // Writes the lowest kBytes bytes of each lane to bytes[0], bytes[stride], ...
  template <int kBytes>
  static QUERN_LANE void Scatter(I value, uint8_t* bytes, size_t, int) {
    std::memcpy(bytes, &value, kBytes);
  }
};

}  // namespace quern
