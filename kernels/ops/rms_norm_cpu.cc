// Sums may be reordered here: nothing of this decides the bytes of a quantized file.
#include <cmath>

#include "base/parallel.h"
#include "kernels/ops/rms_norm.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/ops/rms_norm_cpu.cc"
#include "kernels/ops/simd.h"
//
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

HWY_INLINE void RmsNormRow(const float* x, const float* w, float eps, int64_t dim, float* y) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  auto sum = hn::Zero(d);
  int64_t i = 0;
  for (; i + lanes <= dim; i += lanes) {
    const auto v = hn::LoadU(d, x + i);
    sum = hn::MulAdd(v, v, sum);
  }
  double total = hn::GetLane(hn::SumOfLanes(d, sum));
  for (; i < dim; ++i) total += static_cast<double>(x[i]) * x[i];
  const auto scale = static_cast<float>(1.0 / std::sqrt(total / static_cast<double>(dim) + eps));
  const auto scales = hn::Set(d, scale);
  i = 0;
  for (; i + lanes <= dim; i += lanes) {
    hn::StoreU(hn::Mul(hn::LoadU(d, w + i), hn::Mul(scales, hn::LoadU(d, x + i))), d, y + i);
  }
  for (; i < dim; ++i) y[i] = w[i] * (scale * x[i]);
}

void RmsNormRows(const float* x, const float* w, float eps, int64_t rows, int64_t dim, float* y) {
  for (int64_t r = 0; r < rows; ++r) RmsNormRow(x + r * dim, w, eps, dim, y + r * dim);
}

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace quern {
HWY_EXPORT(RmsNormRows);

void RmsNorm(const float* x, const float* w, float eps, int64_t rows, int64_t dim, float* y) {
  ParallelFor(rows, 16, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(RmsNormRows)(x + begin * dim, w, eps, end - begin, dim, y + begin * dim);
  });
}

}  // namespace quern
#endif
