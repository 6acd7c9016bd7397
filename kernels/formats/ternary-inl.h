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

template <class L>
struct Trits {
  typename L::F d, inverse;

  explicit QUERN_LANE Trits(const In<L>& x) : d(L::Set(0)) {
    for (int first = 0; first < 256; first += 32) {
      const auto part = x.template Sub<32>(first);
      for (int i = 0; i < 32; ++i) d = L::Max(d, L::Abs(part[i]));
    }
    inverse = InverseOrZero<L>(d);
  }
  // The trit of a weight; what a NaN left may be any number.
  HWY_INLINE typename L::I operator()(typename L::F x) const {
    return RoundAway<L>(x * inverse) + L::SetI(1);
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
