// Included once per SIMD target.
#if defined(QUERN_KERNELS_LANE_HIGHWAY_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_LANE_HIGHWAY_INL_H_
#undef QUERN_KERNELS_LANE_HIGHWAY_INL_H_
#else
#define QUERN_KERNELS_LANE_HIGHWAY_INL_H_
#endif

#include <hwy/highway.h>

#include <cstring>

#include "kernels/lane.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_EMU128
using Lane = ScalarLane;
#else

// One block per element of a register; see lane.h for the contract. Fixed-size targets only (a
// register of unknown size cannot stand in scratch arrays), so not SVE or RVV.
struct VectorLane {
  using D = hn::ScalableTag<float>;
  using DI = hn::RebindToSigned<D>;
  using DU = hn::RebindToUnsigned<D>;
  using F = hn::Vec<D>;
  using I = hn::Vec<DI>;
  using M = hn::Mask<D>;
  using Near = VectorLane;
  static constexpr int kMax = static_cast<int>(hn::MaxLanes(D()));
  static constexpr int Lanes() { return kMax; }

  static HWY_INLINE F Set(float value) { return hn::Set(D(), value); }
  static HWY_INLINE I SetI(int32_t value) { return hn::Set(DI(), value); }
  static HWY_INLINE F Load(const float* p) { return hn::Load(D(), p); }
  static HWY_INLINE I LoadI(const int32_t* p) { return hn::Load(DI(), p); }
  static HWY_INLINE void Store(F value, float* p) { hn::Store(value, D(), p); }
  static HWY_INLINE void StoreI(I value, int32_t* p) { hn::Store(value, DI(), p); }

  static HWY_INLINE F Select(M mask, F yes, F no) { return hn::IfThenElse(mask, yes, no); }
  static HWY_INLINE I Select(M mask, I yes, I no) {
    return hn::IfThenElse(hn::RebindMask(DI(), mask), yes, no);
  }
  static HWY_INLINE M And(M a, M b) { return hn::And(a, b); }
  static HWY_INLINE M Or(M a, M b) { return hn::Or(a, b); }
  static HWY_INLINE M Not(M a) { return hn::Not(a); }
  static HWY_INLINE bool Any(M mask) { return !hn::AllFalse(D(), mask); }
  static HWY_INLINE bool All(M mask) { return hn::AllTrue(D(), mask); }

  static HWY_INLINE uint32_t MaskBits(M mask) {
    uint8_t bytes[8] = {};
    hn::StoreMaskBits(D(), mask, bytes);
    uint32_t bits;
    std::memcpy(&bits, bytes, sizeof(bits));
    return bits;
  }

  static HWY_INLINE F Abs(F value) { return hn::Abs(value); }
  static HWY_INLINE F Neg(F value) { return hn::Neg(value); }
  static HWY_INLINE F Sqrt(F value) { return hn::Sqrt(value); }
  static HWY_INLINE F Quotient(F n, F d, [[maybe_unused]] F inverse) {
#if HWY_NATIVE_FMA
    // A division costs as much as ten products. What the product lacks is exact in a fused step,
    // and with it the quotient is the rounded one (Markstein's theorem; tried for all d and all n
    // that the searches have).
    const F product = n * inverse;
    return hn::MulAdd(hn::NegMulAdd(product, d, n), inverse, product);
#else
    return n / d;
#endif
  }
#if HWY_ARCH_X86
  // minps and maxps are the contract already.
  static HWY_INLINE F Min(F a, F b) { return hn::Min(a, b); }
  static HWY_INLINE F Max(F a, F b) { return hn::Max(a, b); }
#else
  static HWY_INLINE F Min(F a, F b) { return hn::IfThenElse(a < b, a, b); }
  static HWY_INLINE F Max(F a, F b) { return hn::IfThenElse(a > b, a, b); }
#endif
  static HWY_INLINE F Round(F value) { return hn::Round(value); }
  // Bits above the sign are in the order of the magnitudes, so whole numbers' comparisons serve,
  // and those have units of their own where Min and Max share the adders' (AMD).
  static HWY_INLINE F AtLeast(F value, float low) {
    if (low == 0) return FromBits(Max(Bits(value), SetI(0)));
    return hn::BitCast(D(), hn::Min(hn::BitCast(DU(), value), hn::BitCast(DU(), Set(low))));
  }
  static HWY_INLINE F AtMost(F value, float high) {
    return FromBits(Min(Bits(value), Bits(Set(high))));
  }
  static HWY_INLINE I Min(I a, I b) { return hn::Min(a, b); }
  static HWY_INLINE I Max(I a, I b) { return hn::Max(a, b); }
  static HWY_INLINE M Equal(I a, I b) { return hn::RebindMask(D(), a == b); }
  static HWY_INLINE M Less(I a, I b) { return hn::RebindMask(D(), a < b); }

  static HWY_INLINE I ToInt(F value) {
    const M fits = hn::And(value < Set(2147483648.0f), value >= Set(-2147483648.0f));
    return Select(fits, hn::ConvertTo(DI(), value), SetI(INT32_MIN));
  }
  static HWY_INLINE F ToFloat(I value) { return hn::ConvertTo(D(), value); }
  static HWY_INLINE I Bits(F value) { return hn::BitCast(DI(), value); }
  static HWY_INLINE F FromBits(I bits) { return hn::BitCast(D(), bits); }
  template <int kBits>
  static HWY_INLINE I Shl(I value) {
    return hn::ShiftLeft<kBits>(value);
  }
  template <int kBits>
  static HWY_INLINE I Shr(I value) {
    return hn::BitCast(DI(), hn::ShiftRight<kBits>(hn::BitCast(DU(), value)));
  }
  static HWY_INLINE I Lookup(const int32_t* table, I index) {
    return hn::GatherIndex(DI(), table, index);
  }
  static HWY_INLINE F Lookup(const float* table, I index) {
    return hn::GatherIndex(D(), table, index);
  }
  static HWY_INLINE F LookupOwn(const float* values, I index) {
    return Lookup(values, index * SetI(kMax) + hn::Iota(DI(), 0));
  }
  static HWY_INLINE I LookupStrided(const int32_t* values, int stride) {
    return Lookup(values, hn::Iota(DI(), 0) * SetI(stride));
  }
  template <int kBits>
  static HWY_INLINE F Odd(I level) {
    if constexpr (kMax < 8) {
      return ToFloat(Shl<1>(level & SetI((1 << kBits) - 1)) + SetI(1));
    } else {
      // The instruction looks at the lowest bits alone; Highway's checks in debug builds at all.
      alignas(64) static constexpr float kEight[16] = {1, 3, 5, 7, 9, 11, 13, 15,
                                                       1, 3, 5, 7, 9, 11, 13, 15};
      alignas(64) static constexpr float kFour[16] = {1, 3, 5, 7, 1, 3, 5, 7,
                                                      1, 3, 5, 7, 1, 3, 5, 7};
      if constexpr (HWY_IS_DEBUG_BUILD) level = level & SetI(7);
      return hn::TableLookupLanes(Load(kBits == 3 ? kEight : kFour),
                                  hn::IndicesFromVec(D(), level));
    }
  }
  static HWY_INLINE F Lookup16(const float* table, I index) {
    if constexpr (kMax == 16) {
      return hn::TableLookupLanes(Load(table), hn::IndicesFromVec(D(), index));
    } else if constexpr (kMax == 8) {
      // The indices of the upper half wrap to those of the lower.
      const auto wrapped = hn::IndicesFromVec(D(), index & SetI(7));
      const F low = hn::TableLookupLanes(Load(table), wrapped);
      const F high = hn::TableLookupLanes(Load(table + 8), wrapped);
      return Select(Less(index, SetI(8)), low, high);
    } else {
      return Lookup(table, index);
    }
  }

  static HWY_INLINE F LoadNear(const float* p) { return hn::LoadU(D(), p); }
  static HWY_INLINE void StoreNear(F value, float* p) { hn::StoreU(value, D(), p); }
  static HWY_INLINE I LoadNearI(const int32_t* p) { return hn::LoadU(DI(), p); }
  static HWY_INLINE I LoadHalves(const uint16_t* p) {
    return hn::PromoteTo(DI(), hn::LoadU(hn::Rebind<uint16_t, D>(), p));
  }
  static HWY_INLINE void StoreHalves(I value, uint16_t* p) {
    const hn::Rebind<uint16_t, D> d16;
    hn::StoreU(hn::DemoteTo(d16, value), d16, p);
  }
  static HWY_INLINE void StoreBytes(I value, uint8_t* p) {
    const hn::Rebind<uint8_t, D> d8;
    hn::StoreU(hn::TruncateTo(d8, hn::BitCast(DU(), value)), d8, p);
  }

  template <int kBytes>
  static HWY_INLINE void Scatter(I value, uint8_t* bytes, size_t stride, int lanes) {
    alignas(64) int32_t words[kMax];
    hn::Store(value, DI(), words);
    for (int lane = 0; lane < lanes; ++lane) {
      std::memcpy(bytes + static_cast<size_t>(lane) * stride, words + lane, kBytes);
    }
  }

  static HWY_INLINE void Interleave(const float* const* from, int count, float* to,
                                    int step = kMax) {
    for (int i = 0; i < count; i += 4) {
      const F r0 = Quarter(D(), from, 0, i);
      const F r1 = Quarter(D(), from, 1, i);
      const F r2 = Quarter(D(), from, 2, i);
      const F r3 = Quarter(D(), from, 3, i);
      const auto pair = [](F a, F b, bool upper) HWY_ATTR {
        return upper ? hn::InterleaveUpper(D(), a, b) : hn::InterleaveLower(D(), a, b);
      };
      const F a = pair(r0, r2, false), b = pair(r1, r3, false);
      const F c = pair(r0, r2, true), d = pair(r1, r3, true);
      Store(pair(a, b, false), to + (i + 0) * step);
      Store(pair(a, b, true), to + (i + 1) * step);
      Store(pair(c, d, false), to + (i + 2) * step);
      Store(pair(c, d, true), to + (i + 3) * step);
    }
  }

 private:
  // Four floats at i of the lanes k, k + 4, k + 8, ..., in this order.
  template <class DN>
  static HWY_INLINE hn::Vec<DN> Quarter(DN d, const float* const* from, int k, int i) {
    constexpr int kLanes = static_cast<int>(hn::MaxLanes(DN()));
    if constexpr (kLanes == 4) {
      return hn::LoadU(d, from[k] + i);
    } else {
      const hn::Half<DN> half;
      return hn::Combine(d, Quarter(half, from, k + kLanes / 2, i), Quarter(half, from, k, i));
    }
  }
};
using Lane = VectorLane;

#endif

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
