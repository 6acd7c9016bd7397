// Included once per target.
#if defined(QUERN_KERNELS_LANE_PAIR_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_LANE_PAIR_INL_H_
#undef QUERN_KERNELS_LANE_PAIR_INL_H_
#else
#define QUERN_KERNELS_LANE_PAIR_INL_H_
#endif

#include "kernels/lane_highway-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// Two of lane type T side by side, twice as many blocks. The sums of a search go strictly from left
// to right, so each addition waits for the one before it (4 cycles on x86); with two independent
// sums under way the units are busy meanwhile.
template <class T>
struct PairLane {
  struct F {
    typename T::F a, b;
    friend HWY_INLINE F operator+(F x, F y) { return {x.a + y.a, x.b + y.b}; }
    friend HWY_INLINE F operator-(F x, F y) { return {x.a - y.a, x.b - y.b}; }
    friend HWY_INLINE F operator*(F x, F y) { return {x.a * y.a, x.b * y.b}; }
    friend HWY_INLINE F operator/(F x, F y) { return {x.a / y.a, x.b / y.b}; }
  };
  struct I {
    typename T::I a, b;
    friend HWY_INLINE I operator+(I x, I y) { return {x.a + y.a, x.b + y.b}; }
    friend HWY_INLINE I operator-(I x, I y) { return {x.a - y.a, x.b - y.b}; }
    friend HWY_INLINE I operator*(I x, I y) { return {x.a * y.a, x.b * y.b}; }
    friend HWY_INLINE I operator&(I x, I y) { return {x.a & y.a, x.b & y.b}; }
    friend HWY_INLINE I operator|(I x, I y) { return {x.a | y.a, x.b | y.b}; }
    friend HWY_INLINE I operator^(I x, I y) { return {x.a ^ y.a, x.b ^ y.b}; }
  };
  struct M {
    typename T::M a, b;
  };
  friend HWY_INLINE M operator<(F x, F y) { return {x.a < y.a, x.b < y.b}; }
  friend HWY_INLINE M operator>(F x, F y) { return {x.a > y.a, x.b > y.b}; }
  friend HWY_INLINE M operator<=(F x, F y) { return {x.a <= y.a, x.b <= y.b}; }
  friend HWY_INLINE M operator>=(F x, F y) { return {x.a >= y.a, x.b >= y.b}; }
  friend HWY_INLINE M operator==(F x, F y) { return {x.a == y.a, x.b == y.b}; }
  using Near = typename T::Near;
  static constexpr int kMax = 2 * T::kMax;
  static constexpr int kHalf = T::kMax;

  static HWY_INLINE F Set(float value) { return {T::Set(value), T::Set(value)}; }
  static HWY_INLINE I SetI(int32_t value) { return {T::SetI(value), T::SetI(value)}; }
  static HWY_INLINE F Load(const float* p) { return {T::Load(p), T::Load(p + kHalf)}; }
  static HWY_INLINE I LoadI(const int32_t* p) { return {T::LoadI(p), T::LoadI(p + kHalf)}; }
  static HWY_INLINE void Store(F value, float* p) {
    T::Store(value.a, p);
    T::Store(value.b, p + kHalf);
  }
  static HWY_INLINE void StoreI(I value, int32_t* p) {
    T::StoreI(value.a, p);
    T::StoreI(value.b, p + kHalf);
  }
  static HWY_INLINE void StoreNear(F value, float* p) {
    T::StoreNear(value.a, p);
    T::StoreNear(value.b, p + kHalf);
  }

  static HWY_INLINE F Select(M m, F x, F y) {
    return {T::Select(m.a, x.a, y.a), T::Select(m.b, x.b, y.b)};
  }
  static HWY_INLINE I Select(M m, I x, I y) {
    return {T::Select(m.a, x.a, y.a), T::Select(m.b, x.b, y.b)};
  }
  static HWY_INLINE M And(M x, M y) { return {T::And(x.a, y.a), T::And(x.b, y.b)}; }
  static HWY_INLINE M Or(M x, M y) { return {T::Or(x.a, y.a), T::Or(x.b, y.b)}; }
  static HWY_INLINE M Not(M x) { return {T::Not(x.a), T::Not(x.b)}; }
  static HWY_INLINE bool Any(M x) { return T::Any(T::Or(x.a, x.b)); }
  static HWY_INLINE bool All(M x) { return T::All(T::And(x.a, x.b)); }
  static HWY_INLINE uint64_t MaskBits(M x) {
    return T::MaskBits(x.a) | uint64_t{T::MaskBits(x.b)} << kHalf;
  }

  static HWY_INLINE F Abs(F x) { return {T::Abs(x.a), T::Abs(x.b)}; }
  static HWY_INLINE F Neg(F x) { return {T::Neg(x.a), T::Neg(x.b)}; }
  static HWY_INLINE F Sqrt(F x) { return {T::Sqrt(x.a), T::Sqrt(x.b)}; }
  static HWY_INLINE F Quotient(F n, F d, F inverse) {
    return {T::Quotient(n.a, d.a, inverse.a), T::Quotient(n.b, d.b, inverse.b)};
  }
  static HWY_INLINE F Min(F x, F y) { return {T::Min(x.a, y.a), T::Min(x.b, y.b)}; }
  static HWY_INLINE F Max(F x, F y) { return {T::Max(x.a, y.a), T::Max(x.b, y.b)}; }
  static HWY_INLINE F Round(F x) { return {T::Round(x.a), T::Round(x.b)}; }
  static HWY_INLINE F AtLeast(F x, float low) {
    return {T::AtLeast(x.a, low), T::AtLeast(x.b, low)};
  }
  static HWY_INLINE F AtMost(F x, float high) {
    return {T::AtMost(x.a, high), T::AtMost(x.b, high)};
  }
  static HWY_INLINE I Min(I x, I y) { return {T::Min(x.a, y.a), T::Min(x.b, y.b)}; }
  static HWY_INLINE I Max(I x, I y) { return {T::Max(x.a, y.a), T::Max(x.b, y.b)}; }
  static HWY_INLINE M Equal(I x, I y) { return {T::Equal(x.a, y.a), T::Equal(x.b, y.b)}; }
  static HWY_INLINE M Less(I x, I y) { return {T::Less(x.a, y.a), T::Less(x.b, y.b)}; }

  static HWY_INLINE I ToInt(F x) { return {T::ToInt(x.a), T::ToInt(x.b)}; }
  static HWY_INLINE F ToFloat(I x) { return {T::ToFloat(x.a), T::ToFloat(x.b)}; }
  static HWY_INLINE I Bits(F x) { return {T::Bits(x.a), T::Bits(x.b)}; }
  static HWY_INLINE F FromBits(I x) { return {T::FromBits(x.a), T::FromBits(x.b)}; }
  template <int kBits>
  static HWY_INLINE I Shl(I x) {
    return {T::template Shl<kBits>(x.a), T::template Shl<kBits>(x.b)};
  }
  template <int kBits>
  static HWY_INLINE I Shr(I x) {
    return {T::template Shr<kBits>(x.a), T::template Shr<kBits>(x.b)};
  }
  static HWY_INLINE F Lookup(const float* table, I index) {
    return {T::Lookup(table, index.a), T::Lookup(table, index.b)};
  }
  static HWY_INLINE F Lookup16(const float* table, I index) {
    return {T::Lookup16(table, index.a), T::Lookup16(table, index.b)};
  }

  template <int kBytes>
  static HWY_INLINE void Scatter(I x, uint8_t* bytes, size_t stride, int lanes) {
    T::template Scatter<kBytes>(x.a, bytes, stride, lanes < kHalf ? lanes : kHalf);
    if (lanes > kHalf) {
      T::template Scatter<kBytes>(x.b, bytes + kHalf * stride, stride, lanes - kHalf);
    }
  }
  static HWY_INLINE void Interleave(const float* const* from, int count, float* to,
                                    int step = kMax) {
    T::Interleave(from, count, to, step);
    T::Interleave(from + kHalf, count, to + kHalf, step);
  }
};

#if HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_EMU128
using WideLane = ScalarLane;
#else
using WideLane = PairLane<VectorLane>;
#endif

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
