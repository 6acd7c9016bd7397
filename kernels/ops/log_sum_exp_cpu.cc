// Sums may be reordered here: nothing of this decides the bytes of a quantized file.
#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/ops/log_sum_exp.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/ops/log_sum_exp_cpu.cc"
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

// The sum of exp(x - max), whose float32 vector sums are gathered in double every 64 steps.
double SumExp(const float* x, int64_t n, float max) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto m = hn::Set(d, max);
  double total = 0;
  int64_t i = 0;
  while (i + lanes <= n) {
    auto sum = hn::Zero(d);
    for (int step = 0; step < 64 && i + lanes <= n; ++step, i += lanes) {
      sum = hn::Add(sum, hn::Exp(d, hn::Sub(hn::LoadU(d, x + i), m)));
    }
    total += hn::GetLane(hn::SumOfLanes(d, sum));
  }
  for (; i < n; ++i) total += std::exp(x[i] - max);
  return total;
}

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace quern {
HWY_EXPORT(SumExp);

double LogSumExp(const float* x, int64_t n) {
  float max = -std::numeric_limits<float>::infinity();
  for (int64_t i = 0; i < n; ++i) {
    if (std::isnan(x[i])) return x[i];
    max = std::max(max, x[i]);
  }
  return max + std::log(HWY_DYNAMIC_DISPATCH(SumExp)(x, n, max));
}

}  // namespace quern
#endif
