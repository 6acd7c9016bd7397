// The product of float32 activations with weights of any type. Sums here may fuse and be reordered:
// nothing of this decides the bytes of a quantized file.
#include <hwy/aligned_allocator.h>
#include <hwy/cache_control.h>

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "base/parallel.h"
#include "kernels/codec.h"
#include "kernels/half.h"
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

// Columns of a tile that are decoded at once, the longest block of any type, and those of one pass
// of the micro-kernel: 64 columns of 64 rows are 16 KB, half of L1.
constexpr int64_t kTileCols = 256;
constexpr int64_t kStepCols = 64;
// Tokens that meet a tile at a time.
constexpr int64_t kTokens = 6;
// Up to so many tokens meet the rows one by one: turning a tile round costs more than it saves.
constexpr int64_t kFewTokens = 4;
// How far ahead rows are fetched. The hardware stops at each page of 4 KB.
constexpr int64_t kFetchAhead = 2048;

// The activations x[tokens, cols] as [steps of 64 columns][padded tokens][64], zeros beyond.
struct StepActivations {
  StepActivations(const float* x, int64_t tokens, int64_t cols)
      : padded((tokens + kTokens - 1) / kTokens * kTokens),
        values(static_cast<size_t>((cols + kStepCols - 1) / kStepCols * padded * kStepCols)) {
    ParallelFor(tokens, 16, [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) {
        for (int64_t k = 0; k < cols; k += kStepCols) {
          std::copy_n(x + t * cols + k, std::min(kStepCols, cols - k),
                      values.data() + (k / kStepCols * padded + t) * kStepCols);
        }
      }
    });
  }
  const float* step(int64_t col, int64_t token) const {
    return values.data() + (col / kStepCols * padded + token) * kStepCols;
  }

  int64_t padded;
  std::vector<float> values;
};

}  // namespace quern
#endif

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

HWY_INLINE int64_t FloatLanes() { return static_cast<int64_t>(hn::Lanes(D())); }

// A tile is so many vectors of rows: with six tokens 24 accumulators, of 32 registers, or 12 of 16.
#if HWY_TARGET <= HWY_AVX3 || HWY_TARGET == HWY_NEON
constexpr int kVectors = 4;
#else
constexpr int kVectors = 2;
#endif
HWY_INLINE int64_t TileRows() { return kVectors * FloatLanes(); }

// sums[kTokens, tile rows] += x[kTokens, n] * w[n, tile rows], where x has stride kStepCols.
HWY_INLINE void MicroKernel(const float* HWY_RESTRICT w, const float* HWY_RESTRICT x, int64_t n,
                            float* HWY_RESTRICT sums) {
  const D d;
  const int64_t lanes = FloatLanes(), rows = TileRows();
  V acc[kTokens][kVectors];
#pragma GCC unroll 6
  for (int64_t t = 0; t < kTokens; ++t) {
#pragma GCC unroll 4
    for (int r = 0; r < kVectors; ++r) acc[t][r] = hn::LoadU(d, sums + t * rows + r * lanes);
  }
  for (int64_t k = 0; k < n; ++k) {
    V wk[kVectors];
#pragma GCC unroll 4
    for (int r = 0; r < kVectors; ++r) wk[r] = hn::LoadU(d, w + k * rows + r * lanes);
#pragma GCC unroll 6
    for (int64_t t = 0; t < kTokens; ++t) {
      const V xk = hn::Set(d, x[t * kStepCols + k]);
#pragma GCC unroll 4
      for (int r = 0; r < kVectors; ++r) acc[t][r] = hn::MulAdd(wk[r], xk, acc[t][r]);
    }
  }
#pragma GCC unroll 6
  for (int64_t t = 0; t < kTokens; ++t) {
#pragma GCC unroll 4
    for (int r = 0; r < kVectors; ++r) hn::StoreU(acc[t][r], d, sums + t * rows + r * lanes);
  }
}

// Four decoded rows, kTileCols apart, into columns of w[cols, tile rows].
void TurnFour(const float* rows, int64_t cols, float* w) {
  int64_t k = 0;
#if HWY_TARGET != HWY_SCALAR
  const hn::CappedTag<float, 4> d;
  for (; k + 4 <= cols; k += 4) {
    const auto a = hn::LoadU(d, rows + k), b = hn::LoadU(d, rows + kTileCols + k);
    const auto c = hn::LoadU(d, rows + 2 * kTileCols + k);
    const auto e = hn::LoadU(d, rows + 3 * kTileCols + k);
    const auto ac = hn::InterleaveLower(d, a, c), be = hn::InterleaveLower(d, b, e);
    const auto ac2 = hn::InterleaveUpper(d, a, c), be2 = hn::InterleaveUpper(d, b, e);
    hn::StoreU(hn::InterleaveLower(d, ac, be), d, w + k * TileRows());
    hn::StoreU(hn::InterleaveUpper(d, ac, be), d, w + (k + 1) * TileRows());
    hn::StoreU(hn::InterleaveLower(d, ac2, be2), d, w + (k + 2) * TileRows());
    hn::StoreU(hn::InterleaveUpper(d, ac2, be2), d, w + (k + 3) * TileRows());
  }
#endif
  for (; k < cols; ++k) {
    for (int64_t r = 0; r < 4; ++r) w[k * TileRows() + r] = rows[r * kTileCols + k];
  }
}

// sums[padded tokens, tile rows] of the weight rows [first, first + rows); tile has room for
// kTileCols columns.
void TileProduct(const Matrix& w, int64_t first, int64_t rows, const StepActivations& x,
                 float* tile, float* sums) {
  const int64_t tile_rows = TileRows();
  std::fill_n(sums, x.padded * tile_rows, 0.0f);
  const int64_t block_elems = InfoOf(w.type).elems, block_bytes = InfoOf(w.type).bytes;
  alignas(64) float decoded[4 * kTileCols];
  for (int64_t k0 = 0; k0 < w.cols; k0 += kTileCols) {
    const int64_t cols = std::min(kTileCols, w.cols - k0);
    // Rows behind the last are sums that nobody reads.
    for (int64_t r0 = 0; r0 < tile_rows; r0 += 4) {
      for (int64_t r = 0; r < 4; ++r) {
        const std::byte* row = w.row(first + std::min(r0 + r, rows - 1));
        Decode(w.type, row + k0 / block_elems * block_bytes, cols, decoded + r * kTileCols);
      }
      if (tile_rows >= 4) {
        TurnFour(decoded, cols, tile + r0);
      } else {
        for (int64_t k = 0; k < cols; ++k) {
          for (int64_t r = 0; r < tile_rows; ++r) {
            tile[k * tile_rows + r] = decoded[r * kTileCols + k];
          }
        }
      }
    }
    for (int64_t k = 0; k < cols; k += kStepCols) {
      const int64_t n = std::min(kStepCols, cols - k);
      for (int64_t t = 0; t < x.padded; t += kTokens) {
        MicroKernel(tile + k * tile_rows, x.step(k0 + k, t), n, sums + t * tile_rows);
      }
    }
  }
}

// y[tokens, w.rows], tile by tile.
void MatMulTiles(const Matrix& w, const float* x, int64_t tokens, float* y) {
  const StepActivations steps(x, tokens, w.cols);
  const int64_t tile_rows = TileRows();
  ParallelFor((w.rows + tile_rows - 1) / tile_rows, 1, [&](int64_t begin, int64_t end) {
    const auto tile = hwy::AllocateAligned<float>(static_cast<size_t>(kTileCols * tile_rows));
    const auto sums = hwy::AllocateAligned<float>(static_cast<size_t>(steps.padded * tile_rows));
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i * tile_rows, rows = std::min(tile_rows, w.rows - first);
      TileProduct(w, first, rows, steps, tile.get(), sums.get());
      for (int64_t t = 0; t < tokens; ++t) {
        std::copy_n(sums.get() + t * tile_rows, rows, y + t * w.rows + first);
      }
    }
  });
}

HWY_INLINE V Widen(const float* p) { return hn::LoadU(D(), p); }
HWY_INLINE V Widen(const hwy::float16_t* p) {
  return hn::PromoteTo(D(), hn::LoadU(hn::Rebind<hwy::float16_t, D>(), p));
}
HWY_INLINE V Widen(const hwy::bfloat16_t* p) {
  return hn::PromoteTo(D(), hn::LoadU(hn::Rebind<hwy::bfloat16_t, D>(), p));
}
HWY_INLINE float WidenOne(const float* p) { return *p; }
HWY_INLINE float WidenOne(const hwy::float16_t* p) { return HalfToFloat(p->bits); }
HWY_INLINE float WidenOne(const hwy::bfloat16_t* p) { return Bf16ToFloat(p->bits); }

// The dot product of a row of weights with float32 activations.
template <class T>
HWY_INLINE float Dot(const T* HWY_RESTRICT w, const float* HWY_RESTRICT x, int64_t n) {
  const D d;
  const int64_t lanes = FloatLanes();
  V sum0 = hn::Zero(d), sum1 = hn::Zero(d), sum2 = hn::Zero(d), sum3 = hn::Zero(d);
  int64_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    const auto* ahead = reinterpret_cast<const char*>(w + i) + kFetchAhead;
    for (int64_t at = 0; at < 4 * lanes * static_cast<int64_t>(sizeof(T)); at += 64) {
      hwy::Prefetch(ahead + at);
    }
    sum0 = hn::MulAdd(Widen(w + i), hn::LoadU(d, x + i), sum0);
    sum1 = hn::MulAdd(Widen(w + i + lanes), hn::LoadU(d, x + i + lanes), sum1);
    sum2 = hn::MulAdd(Widen(w + i + 2 * lanes), hn::LoadU(d, x + i + 2 * lanes), sum2);
    sum3 = hn::MulAdd(Widen(w + i + 3 * lanes), hn::LoadU(d, x + i + 3 * lanes), sum3);
  }
  for (; i + lanes <= n; i += lanes) {
    sum0 = hn::MulAdd(Widen(w + i), hn::LoadU(d, x + i), sum0);
  }
  const V sum = hn::Add(hn::Add(sum0, sum1), hn::Add(sum2, sum3));
  float total = hn::GetLane(hn::SumOfLanes(d, sum));
  for (; i < n; ++i) total += WidenOne(w + i) * x[i];
  return total;
}

// Rows of a plain type meet the tokens where they lie.
template <class T>
void PlainRows(const Matrix& w, int64_t begin, int64_t end, const float* x, int64_t tokens,
               float* y) {
  for (int64_t r = begin; r < end; ++r) {
    const T* row = reinterpret_cast<const T*>(w.data) + r * w.cols;
    for (int64_t t = 0; t < tokens; ++t) y[t * w.rows + r] = Dot(row, x + t * w.cols, w.cols);
  }
}

// All others are decoded once for all tokens.
void DecodedRows(const Matrix& w, int64_t begin, int64_t end, const float* x, int64_t tokens,
                 float* y) {
  std::vector<float> row(static_cast<size_t>(w.cols));
  for (int64_t r = begin; r < end; ++r) {
    Decode(w.type, w.row(r), w.cols, row.data());
    for (int64_t t = 0; t < tokens; ++t) {
      y[t * w.rows + r] = Dot(row.data(), x + t * w.cols, w.cols);
    }
  }
}

// y[tokens, w.rows] for a few tokens, row by row; a piece of work is 64 K weights.
void MatMulRows(const Matrix& w, const float* x, int64_t tokens, float* y) {
  const int64_t grain = std::max<int64_t>(1, 65536 / std::max<int64_t>(w.cols, 1));
  ParallelFor(w.rows, grain, [&](int64_t begin, int64_t end) {
    switch (w.type) {
      case Type::kF32:
        return PlainRows<float>(w, begin, end, x, tokens, y);
      case Type::kF16:
        return PlainRows<hwy::float16_t>(w, begin, end, x, tokens, y);
      case Type::kBF16:
        return PlainRows<hwy::bfloat16_t>(w, begin, end, x, tokens, y);
      default:
        return DecodedRows(w, begin, end, x, tokens, y);
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace quern {
HWY_EXPORT(MatMulTiles);
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
      HWY_DYNAMIC_DISPATCH(MatMulTiles)(w, x, tokens, product.y);
    }
  }
  if (!rounded.empty()) MatMulCodes(rounded, x, tokens, cols);
}

bool RoundsActivations(Type type) { return HasCodeProducts(type); }

}  // namespace quern
#endif
