// Within a few ULP of the exact value: nothing of this decides the bytes of a quantized file.
#include "base/parallel.h"
#include "kernels/ops/swiglu.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/ops/swiglu_cpu.cc"
#include "kernels/ops/simd.h"
//
#include <hwy/foreach_target.h>
//
#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <class D, class V = hn::Vec<D>>
HWY_INLINE V Glu(D d, V gate, V up) {
  const V one = hn::Set(d, 1.0f);
  return hn::Mul(hn::Div(gate, hn::Add(one, hn::Exp(d, hn::Neg(gate)))), up);
}

void SwiGluPiece(float* gate, const float* up, int64_t n) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    hn::StoreU(Glu(d, hn::LoadU(d, gate + i), hn::LoadU(d, up + i)), d, gate + i);
  }
  const hn::CappedTag<float, 1> one;
  for (; i < n; ++i) {
    hn::StoreU(Glu(one, hn::LoadU(one, gate + i), hn::LoadU(one, up + i)), one, gate + i);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace quern {
HWY_EXPORT(SwiGluPiece);

void SwiGlu(float* gate, const float* up, int64_t n) {
  ParallelFor(n, 32768, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(SwiGluPiece)(gate + begin, up + begin, end - begin);
  });
}

}  // namespace quern
#endif
