// The product of float32 activations with weights of any type. Sums here may fuse and be reordered:
// nothing of this decides the bytes of a quantized file.
#include <algorithm>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "base/parallel.h"
#include "kernels/codec.h"
#include "kernels/ops/matmul.h"
#include "kernels/ops/matmul_codes.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/ops/matmul_cpu.cc"
#include "kernels/ops/simd.h"
//
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#ifndef QUERN_MATMUL_PARAMS
#define QUERN_MATMUL_PARAMS
namespace quern {

// Weight rows that a thread decodes at once, and columns of them: 96 x 256 floats are 96 KB, so a
// tile stays in L2 while all tokens pass by it.
constexpr int64_t kTileRows = 96;
constexpr int64_t kTileCols = 256;
// Columns of one pass of the micro-kernel: 128 columns of 32 tokens are 16 KB, half of L1.
constexpr int64_t kStepCols = 128;
// Below this many tokens a row is decoded once and multiplied with each, for want of a full panel.
constexpr int64_t kFewTokens = 12;

}  // namespace quern
#endif

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

// Tokens of a panel: two vectors of them meet kMicroRows weight rows in registers. 12 x 2
// accumulators fill 24 of AVX-512's and NEON's 32 registers; AVX2 and SSE have 16.
HWY_INLINE int64_t PanelTokens() { return 2 * static_cast<int64_t>(hn::Lanes(D())); }
#if HWY_TARGET <= HWY_AVX3 || HWY_TARGET == HWY_NEON
constexpr int kMicroRows = 12;
#else
constexpr int kMicroRows = 6;
#endif
static_assert(kTileRows % kMicroRows == 0);

// c[kMicroRows, panel] += w[kMicroRows, n] * x[n, panel]; w has stride kTileCols, c has c_stride.
HWY_INLINE void MicroKernel(const float* HWY_RESTRICT w, const float* HWY_RESTRICT x, int64_t n,
                            float* HWY_RESTRICT c, int64_t c_stride) {
  const D d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  V acc0[kMicroRows], acc1[kMicroRows];
#pragma GCC unroll 12
  for (int r = 0; r < kMicroRows; ++r) {
    acc0[r] = hn::LoadU(d, c + r * c_stride);
    acc1[r] = hn::LoadU(d, c + r * c_stride + lanes);
  }
  for (int64_t k = 0; k < n; ++k) {
    const V x0 = hn::LoadU(d, x + k * 2 * lanes);
    const V x1 = hn::LoadU(d, x + k * 2 * lanes + lanes);
#pragma GCC unroll 12
    for (int r = 0; r < kMicroRows; ++r) {
      const V wr = hn::Set(d, w[r * kTileCols + k]);
      acc0[r] = hn::MulAdd(wr, x0, acc0[r]);
      acc1[r] = hn::MulAdd(wr, x1, acc1[r]);
    }
  }
#pragma GCC unroll 12
  for (int r = 0; r < kMicroRows; ++r) {
    hn::StoreU(acc0[r], d, c + r * c_stride);
    hn::StoreU(acc1[r], d, c + r * c_stride + lanes);
  }
}

// Lays x[tokens, cols] out as panels[panel][cols][PanelTokens()], zeros after the last token.
void PackPanels(const float* x, int64_t tokens, int64_t cols, int64_t panel, float* out) {
  const int64_t width = PanelTokens();
  const int64_t first = panel * width;
  const int64_t count = std::min(width, tokens - first);
  float* to = out + panel * width * cols;
  // Eight columns at a time: a cache line of each token's row is read once.
  for (int64_t k0 = 0; k0 < cols; k0 += 16) {
    const int64_t k1 = std::min(k0 + 16, cols);
    for (int64_t t = 0; t < width; ++t) {
      const float* from = x + (first + t) * cols;
      for (int64_t k = k0; k < k1; ++k) to[k * width + t] = t < count ? from[k] : 0.0f;
    }
  }
}

// c[tile rows, padded tokens] of the weight rows [first, first + rows).
void TileProduct(const Matrix& w, int64_t first, int64_t rows, const float* panels, int64_t padded,
                 float* tile, float* c) {
  const int64_t width = PanelTokens();
  const int64_t padded_rows = (rows + kMicroRows - 1) / kMicroRows * kMicroRows;
  std::fill_n(c, padded_rows * padded, 0.0f);
  std::fill_n(tile + rows * kTileCols, (padded_rows - rows) * kTileCols, 0.0f);
  const int64_t block_elems = InfoOf(w.type).elems, block_bytes = InfoOf(w.type).bytes;
  for (int64_t k0 = 0; k0 < w.cols; k0 += kTileCols) {
    const int64_t cols = std::min(kTileCols, w.cols - k0);
    for (int64_t r = 0; r < rows; ++r) {
      Decode(w.type, w.row(first + r) + k0 / block_elems * block_bytes, cols, tile + r * kTileCols);
    }
    for (int64_t p = 0; p < padded; p += width) {
      for (int64_t k = 0; k < cols; k += kStepCols) {
        const int64_t n = std::min(kStepCols, cols - k);
        const float* x = panels + p * w.cols + (k0 + k) * width;
        for (int64_t r = 0; r < padded_rows; r += kMicroRows) {
          MicroKernel(tile + r * kTileCols + k, x, n, c + r * padded + p, padded);
        }
      }
    }
  }
}

// y[tokens, w.rows] by panels of tokens.
void MatMulPanels(const Matrix& w, const float* x, int64_t tokens, float* y) {
  const int64_t width = PanelTokens();
  const int64_t padded = (tokens + width - 1) / width * width;
  std::vector<float> panels(static_cast<size_t>(padded * w.cols));
  ParallelFor(padded / width, 1, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) PackPanels(x, tokens, w.cols, p, panels.data());
  });
  const int64_t tiles = (w.rows + kTileRows - 1) / kTileRows;
  ParallelFor(tiles, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> tile(static_cast<size_t>(kTileRows * kTileCols));
    std::vector<float> c(static_cast<size_t>(kTileRows * padded));
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i * kTileRows, rows = std::min(kTileRows, w.rows - first);
      TileProduct(w, first, rows, panels.data(), padded, tile.data(), c.data());
      for (int64_t t = 0; t < tokens; ++t) {
        float* to = y + t * w.rows + first;
        for (int64_t r = 0; r < rows; ++r) to[r] = c[static_cast<size_t>(r * padded + t)];
      }
    }
  });
}

// The dot product of two float rows.
float Dot(const float* HWY_RESTRICT a, const float* HWY_RESTRICT b, int64_t n) {
  const D d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  V sum0 = hn::Zero(d), sum1 = hn::Zero(d), sum2 = hn::Zero(d), sum3 = hn::Zero(d);
  int64_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    sum0 = hn::MulAdd(hn::LoadU(d, a + i), hn::LoadU(d, b + i), sum0);
    sum1 = hn::MulAdd(hn::LoadU(d, a + i + lanes), hn::LoadU(d, b + i + lanes), sum1);
    sum2 = hn::MulAdd(hn::LoadU(d, a + i + 2 * lanes), hn::LoadU(d, b + i + 2 * lanes), sum2);
    sum3 = hn::MulAdd(hn::LoadU(d, a + i + 3 * lanes), hn::LoadU(d, b + i + 3 * lanes), sum3);
  }
  for (; i + lanes <= n; i += lanes) {
    sum0 = hn::MulAdd(hn::LoadU(d, a + i), hn::LoadU(d, b + i), sum0);
  }
  const V sum = hn::Add(hn::Add(sum0, sum1), hn::Add(sum2, sum3));
  float total = hn::GetLane(hn::SumOfLanes(d, sum));
  for (; i < n; ++i) total += a[i] * b[i];
  return total;
}

// y[tokens, w.rows] for a few tokens: each row is decoded once.
void MatMulRows(const Matrix& w, const float* x, int64_t tokens, float* y) {
  const int64_t grain = std::max<int64_t>(1, 65536 / std::max<int64_t>(w.cols, 1));
  ParallelFor(w.rows, grain, [&](int64_t begin, int64_t end) {
    std::vector<float> row(static_cast<size_t>(w.cols));
    for (int64_t r = begin; r < end; ++r) {
      Decode(w.type, w.row(r), w.cols, row.data());
      for (int64_t t = 0; t < tokens; ++t)
        y[t * w.rows + r] = Dot(row.data(), x + t * w.cols, w.cols);
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace quern {
HWY_EXPORT(MatMulPanels);
HWY_EXPORT(MatMulRows);

void MatMul(std::span<const Product> products, const float* x, int64_t tokens) {
  if (products.empty() || tokens == 0) return;
  const int64_t cols = products[0].w->cols;
  std::vector<Product> rounded;
  for (const Product& product : products) {
    const Matrix& w = *product.w;
    QUERN_CHECK(w.cols == cols && w.cols % InfoOf(w.type).elems == 0 && tokens > 0);
    if (HasCodeProducts(w.type)) {
      rounded.push_back(product);
    } else if (tokens <= kFewTokens) {
      HWY_DYNAMIC_DISPATCH(MatMulRows)(w, x, tokens, product.y);
    } else {
      HWY_DYNAMIC_DISPATCH(MatMulPanels)(w, x, tokens, product.y);
    }
  }
  if (!rounded.empty()) MatMulCodes(rounded, x, tokens, cols);
}

bool RoundsActivations(Type type) { return HasCodeProducts(type); }

}  // namespace quern
#endif
