// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_TERNARY_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_TERNARY_INL_H_
#undef QUERN_KERNELS_FORMATS_TERNARY_INL_H_
#else
#define QUERN_KERNELS_FORMATS_TERNARY_INL_H_
#endif

#include "kernels/formats/legacy-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// What tq1_0 and tq2_0 share: x = d * (trit - 1), where d is the largest magnitude of 256 weights.
// Importance makes no difference.

// Gives the trits and returns d.
template <class L>
inline QUERN_LANE typename L::F EncodeTrits(const In<L>& x, Ints<L, 256>& trits) {
  typename L::F d = L::Set(0);
  for (int i = 0; i < 256; ++i) d = L::Max(d, L::Abs(x[i]));
  const typename L::F inverse = InverseOrZero<L>(d);
  for (int i = 0; i < 256; ++i) trits.Set(i, RoundAway<L>(x[i] * inverse) + L::SetI(1));
  return d;
}

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
