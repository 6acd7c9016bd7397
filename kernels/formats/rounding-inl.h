// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_ROUNDING_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_ROUNDING_INL_H_
#undef QUERN_KERNELS_FORMATS_ROUNDING_INL_H_
#else
#define QUERN_KERNELS_FORMATS_ROUNDING_INL_H_
#endif

#include "kernels/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// The k and IQ quantizers round by adding kRoundingMagic, which leaves the integer in the lowest
// bits of the sum: half to even. What exceeds 22 bits comes out as whatever those bits are, and
// searches that divide by a vanishing sum do get there, so this is part of the reference's bytes.
template <class L>
HWY_INLINE typename L::I NearestInt(typename L::F value) {
  const typename L::I bits = L::Bits(value + L::Set(kRoundingMagic));
  return (bits & L::SetI(0x007fffff)) - L::SetI(0x00400000);
}

template <class L>
HWY_INLINE typename L::I Clamp(typename L::I value, int low, int high) {
  return L::Min(L::Max(value, L::SetI(low)), L::SetI(high));
}

// NearestInt as a float, clamped.
template <class L>
HWY_INLINE typename L::F Level(typename L::F value, int low, int high) {
  return L::ToFloat(Clamp<L>(NearestInt<L>(value), low, high));
}

// The same in fewer operations where abs(value) is known to be below kLevelLimit.
inline constexpr float kLevelLimit = 4194303.0f;
template <class L>
HWY_INLINE typename L::F SmallLevel(typename L::F value, int low, int high) {
  return L::AtMost(L::AtLeast(L::Round(value), static_cast<float>(low)), static_cast<float>(high));
}

// roundf, for what fits into 22 bits: half away from zero. The addend is the largest float below a
// half, so that 0.49999997 stays below one.
template <class L>
HWY_INLINE typename L::I RoundAway(typename L::F value) {
  const typename L::I sign = L::Bits(value) & L::SetI(INT32_MIN);
  return L::ToInt(value + L::FromBits(sign | L::SetI(0x3effffff)));
}

// half.h's FloatToHalf and HalfToFloat over lanes; a half is the lower 16 bits.
template <class L>
HWY_INLINE typename L::I ToHalf(typename L::F value) {
  using I = typename L::I;
  const I bits = L::Bits(value);
  const I sign = L::template Shr<16>(bits) & L::SetI(0x8000);
  const I magnitude = bits & L::SetI(0x7fffffff);
  const I small = L::Bits(L::FromBits(magnitude) + L::Set(0.5f)) - L::SetI(0x3f000000);
  const I finite = L::Min(magnitude, L::SetI(0x7f800000));
  const I odd = L::template Shr<13>(finite) & L::SetI(1);
  const I rounded = finite + L::SetI(0xfff) + odd;
  const I large = L::Select(L::Less(rounded, L::SetI(0x47800000)),
                            L::template Shr<13>(rounded - L::SetI(112 << 23)), L::SetI(0x7c00));
  const I number = L::Select(L::Less(magnitude, L::SetI(0x38800000)), small, large);
  return sign | L::Select(L::Less(L::SetI(0x7f800000), magnitude), L::SetI(0x7e00), number);
}

template <class L>
HWY_INLINE typename L::F FromHalf(typename L::I half) {
  using I = typename L::I;
  const I magnitude = half & L::SetI(0x7fff);
  const I sign = L::template Shl<16>(half & L::SetI(0x8000));
  const I small = L::Bits(L::ToFloat(magnitude) * L::Set(0x1p-24f));
  const I normal = L::template Shl<13>(magnitude) + L::SetI(112 << 23);
  const I quiet = L::Select(L::Less(L::SetI(0x7c00), magnitude), L::SetI(0x400000), L::SetI(0));
  const I special = L::template Shl<13>(magnitude) | L::SetI(0x7f800000) | quiet;
  const I number = L::Select(L::Less(magnitude, L::SetI(0x400)), small,
                             L::Select(L::Less(magnitude, L::SetI(0x7c00)), normal, special));
  return L::FromBits(sign | number);
}

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
