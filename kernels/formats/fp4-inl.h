// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_FP4_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_FP4_INL_H_
#undef QUERN_KERNELS_FORMATS_FP4_INL_H_
#else
#define QUERN_KERNELS_FORMATS_FP4_INL_H_
#endif

#include "kernels/formats/grids.h"
#include "kernels/formats/legacy-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// What mxfp4 and nvfp4 share: weights are kFp4Weights[code] * scale, the nearest of them, and on a
// tie the lowest code. Importance makes no difference.

template <class L>
HWY_INLINE typename L::I Fp4Code(typename L::F x, typename L::F scale) {
  using F = typename L::F;
  using I = typename L::I;
  // The codes of the other sign are never nearer, so the search is one over magnitudes.
  const F magnitude = L::Abs(x);
  F best = magnitude;
  I code = L::SetI(0);
  for (int c = 1; c < 8; ++c) {
    const F error = L::Abs(L::Set(Fp4Number(c)) * scale - magnitude);
    const auto nearer = error < best;
    best = L::Select(nearer, error, best);
    code = L::Select(nearer, L::SetI(c), code);
  }
  const auto minus = L::And(x < L::Set(0), L::Not(L::Equal(code, L::SetI(0))));
  return L::Select(minus, code + L::SetI(8), code);
}

// kCount bytes of codes: weight i in the lower, kCount + i in the upper nibble of byte i.
template <class L, int kCount, class X>
inline QUERN_LANE void PackFp4(const Out<L>& out, int offset, const X& x, typename L::F scale) {
  Ints<L, 2 * kCount> codes;
  for (int i = 0; i < 2 * kCount; ++i) codes.Set(i, Fp4Code<L>(x[i], scale));
  PackNibbles<L, kCount>(out, offset, codes, 0, kCount);
}

template <int kCount>
inline QUERN_LANE void UnpackFp4(const uint8_t* bytes, float scale, float* out) {
  for (int i = 0; i < kCount; ++i) {
    out[i] = static_cast<float>(Fp4Number(bytes[i] & 15)) * scale;
    out[i + kCount] = static_cast<float>(Fp4Number(bytes[i] >> 4)) * scale;
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
