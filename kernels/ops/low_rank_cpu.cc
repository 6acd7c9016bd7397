#include "kernels/ops/low_rank.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/ops/low_rank_cpu.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// kRows rows by two registers of columns: the sums stay in registers, and each register of `right`
// that is loaded serves kRows products.
template <int kRows, class D>
HWY_INLINE void Tile(D d, const float* HWY_RESTRICT left, const float* HWY_RESTRICT right,
                     int64_t rank, int64_t cols, float scale, float* HWY_RESTRICT out) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  hn::Vec<D> low[kRows], high[kRows];
  for (int r = 0; r < kRows; ++r) low[r] = high[r] = hn::Zero(d);
  for (int64_t k = 0; k < rank; ++k) {
    const auto a = hn::LoadU(d, right + k * cols);
    const auto b = hn::LoadU(d, right + k * cols + lanes);
    for (int r = 0; r < kRows; ++r) {
      const auto weight = hn::Set(d, left[r * rank + k]);
      low[r] = hn::Add(low[r], hn::Mul(weight, a));
      high[r] = hn::Add(high[r], hn::Mul(weight, b));
    }
  }
  const auto factor = hn::Set(d, scale);
  for (int r = 0; r < kRows; ++r) {
    float* to = out + r * cols;
    hn::StoreU(hn::Add(hn::LoadU(d, to), hn::Mul(factor, low[r])), d, to);
    hn::StoreU(hn::Add(hn::LoadU(d, to + lanes), hn::Mul(factor, high[r])), d, to + lanes);
  }
}

void AddLowRankImpl(const float* left, const float* right, int64_t rows, int64_t rank, int64_t cols,
                    float scale, float* out) {
  const hn::ScalableTag<float> d;
  const int64_t step = 2 * static_cast<int64_t>(hn::Lanes(d));
  int64_t col = 0;
  // A column of tiles reads the same part of `right` for all rows, which stays in the first-level
  // cache: 16 KiB at rank 64 with registers of 32 bytes.
  for (; col + step <= cols; col += step) {
    int64_t row = 0;
    for (; row + 4 <= rows; row += 4) {
      Tile<4>(d, left + row * rank, right + col, rank, cols, scale, out + row * cols + col);
    }
    for (; row < rows; ++row) {
      Tile<1>(d, left + row * rank, right + col, rank, cols, scale, out + row * cols + col);
    }
  }
  for (int64_t row = 0; row < rows && col < cols; ++row) {
    for (int64_t c = col; c < cols; ++c) {
      float sum = 0;
      for (int64_t k = 0; k < rank; ++k) sum += left[row * rank + k] * right[k * cols + c];
      out[row * cols + c] += scale * sum;
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace quern {

HWY_EXPORT(AddLowRankImpl);

void AddLowRank(const float* left, const float* right, int64_t rows, int64_t rank, int64_t cols,
                float scale, float* out) {
  HWY_DYNAMIC_DISPATCH(AddLowRankImpl)(left, right, rows, rank, cols, scale, out);
}

}  // namespace quern
#endif
