// The product of float32 activations with weights of any type. Sums here may fuse and be reordered:
// nothing of this decides the bytes of a quantized file.
#include <hwy/aligned_allocator.h>
#include <hwy/cache_control.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/parallel.h"
#include "kernels/codec.h"
#include "kernels/ops/matmul.h"
#include "kernels/ops/matmul_codes.h"
#include "kernels/ops/row_pieces.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/ops/matmul_cpu.cc"
#include "kernels/ops/simd.h"
//
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/ops/float_rows-inl.h"
#include "kernels/ops/weight_tile-inl.h"

#ifndef QUERN_MATMUL_PARAMS
#define QUERN_MATMUL_PARAMS
namespace quern {

// Tokens that meet a tile at a time.
constexpr int64_t kTokens = 6;
// Up to so many tokens meet the rows one by one: turning a tile round costs more than it saves.
constexpr int64_t kFewTokens = 4;
// How far ahead rows are fetched, since the hardware stops at each page of 4 KB; and in how many
// places at once a thread reads for a single token (code_products_avx512.h tells why).
constexpr int64_t kFetchAhead = 1024;
constexpr int kStreams = 4;
// Weights of a piece of work where they are decoded, which takes longer than reading them.
constexpr int64_t kDecodedPiece = 65536;

// The activations x[tokens, cols] as [steps of 64 columns][padded tokens][64], zeros for the tokens
// behind the last; the columns behind the last are never read.
struct StepActivations {
  StepActivations(const float* x, int64_t tokens, int64_t cols)
      : padded((tokens + kTokens - 1) / kTokens * kTokens),
        values(hwy::AllocateAligned<float>(
            static_cast<size_t>((cols + kStepCols - 1) / kStepCols * padded * kStepCols))) {
    ParallelFor(padded, 16, [&](int64_t begin, int64_t end) {
      for (int64_t k = 0; k < cols; k += kStepCols) {
        const int64_t n = std::min(kStepCols, cols - k);
        for (int64_t t = begin; t < end; ++t) {
          float* to = values.get() + (k / kStepCols * padded + t) * kStepCols;
          if (t < tokens) {
            std::copy_n(x + t * cols + k, n, to);
          } else {
            std::fill_n(to, n, 0.0f);
          }
        }
      }
    });
  }
  const float* step(int64_t col, int64_t token) const {
    return values.get() + (col / kStepCols * padded + token) * kStepCols;
  }

  int64_t padded;
  hwy::AlignedFreeUniquePtr<float[]> values;
};

}  // namespace quern
#endif

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// sums[kTokens, tile rows] += x[kTokens, n] * w[n, tile rows], where x has stride kStepCols. What
// the next tokens need, behind x and sums, is fetched meanwhile.
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
  // Lines of 16 floats; one of each for every 16 columns and token.
  constexpr int64_t kPart = 16;
  const float* next_x = x + kTokens * kStepCols;
  const float* next_sums = sums + kTokens * rows;
  for (int64_t k0 = 0; k0 < n; k0 += kPart) {
    for (int64_t i = 0; i < kTokens; ++i, next_x += kPart, next_sums += rows / 4) {
      hwy::Prefetch(next_x);
      hwy::Prefetch(next_sums);
    }
    const int64_t end = std::min(n, k0 + kPart);
    for (int64_t k = k0; k < end; ++k) {
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
  }
#pragma GCC unroll 6
  for (int64_t t = 0; t < kTokens; ++t) {
#pragma GCC unroll 4
    for (int r = 0; r < kVectors; ++r) hn::StoreU(acc[t][r], d, sums + t * rows + r * lanes);
  }
}

// sums[padded tokens, tile rows] of the weight rows [first, first + rows); tile has room for
// kTileCols columns.
void TileProduct(const Matrix& w, int64_t first, int64_t rows, const StepActivations& x,
                 float* tile, float* sums) {
  const int64_t tile_rows = TileRows();
  std::fill_n(sums, x.padded * tile_rows, 0.0f);
  const TileLoader loader(w.type);
  for (int64_t k0 = 0; k0 < w.cols; k0 += loader.cols) {
    const int64_t cols = std::min(loader.cols, w.cols - k0);
    loader.load(w, first, rows, k0, cols, tile);
    TileFetch fetch(w, first, rows, k0 + cols, loader.cols, x.padded / kTokens);
    for (int64_t k = 0; k < cols; k += kStepCols) {
      const int64_t n = std::min(kStepCols, cols - k);
      for (int64_t t = 0; t < x.padded; t += kTokens) {
        fetch.Next();
        MicroKernel(tile + k * tile_rows, x.step(k0 + k, t), n, sums + t * tile_rows);
      }
    }
  }
}

// y[tokens, w.rows], tile by tile.
void MatMulTiles(const Matrix& w, const StepActivations& steps, int64_t tokens, float* y) {
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

// dots[kRows] of rows of weights, `apart` elements apart, with float32 activations.
template <int kRows, class T>
HWY_INLINE void Dots(const T* HWY_RESTRICT w, int64_t apart, const float* HWY_RESTRICT x, int64_t n,
                     float* HWY_RESTRICT dots) {
  // Enough sums to hide what an addition takes, and a line of bfloat16 per row and step.
  constexpr int kParts = kRows == 1 ? 4 : 2;
  const D d;
  const int64_t lanes = FloatLanes(), step = kParts * lanes;
  V sums[kRows][kParts];
  for (auto& row : sums) {
    for (V& sum : row) sum = hn::Zero(d);
  }
  int64_t i = 0;
  for (; i + step <= n; i += step) {
    V part[kParts];
    for (int p = 0; p < kParts; ++p) part[p] = hn::LoadU(d, x + i + p * lanes);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      const T* from = w + r * apart + i;
      const auto* ahead = reinterpret_cast<const char*>(from) + kFetchAhead;
      for (int64_t at = 0; at < step * static_cast<int64_t>(sizeof(T)); at += 64) {
        hwy::Prefetch(ahead + at);
      }
#pragma GCC unroll 4
      for (int p = 0; p < kParts; ++p) {
        sums[r][p] = hn::MulAdd(Widen(from + p * lanes), part[p], sums[r][p]);
      }
    }
  }
  for (int r = 0; r < kRows; ++r) {
    V sum = sums[r][0];
    for (int p = 1; p < kParts; ++p) sum = hn::Add(sum, sums[r][p]);
    dots[r] = hn::GetLane(hn::SumOfLanes(d, sum));
    for (int64_t k = i; k < n; ++k) dots[r] += WidenOne(w + r * apart + k) * x[k];
  }
}

// Rows of a plain type meet the tokens where they lie; a single token meets them in as many streams
// at once as keep the memory busy.
template <class T>
void PlainRows(const Matrix& w, int64_t begin, int64_t end, const float* x, int64_t tokens,
               float* y) {
  const T* data = reinterpret_cast<const T*>(w.data);
  if (tokens == 1) {
    const int64_t apart = (end - begin) / kStreams;
    for (int64_t r = begin; r < begin + apart; ++r) {
      float dots[kStreams];
      Dots<kStreams>(data + r * w.cols, apart * w.cols, x, w.cols, dots);
      for (int64_t s = 0; s < kStreams; ++s) y[r + s * apart] = dots[s];
    }
    begin += kStreams * apart;
  }
  for (int64_t r = begin; r < end; ++r) {
    for (int64_t t = 0; t < tokens; ++t) {
      Dots<1>(data + r * w.cols, 0, x + t * w.cols, w.cols, y + t * w.rows + r);
    }
  }
}

// All others are decoded once for all tokens.
void DecodedRows(const Matrix& w, int64_t begin, int64_t end, const float* x, int64_t tokens,
                 float* y) {
  std::vector<float> row(static_cast<size_t>(w.cols));
  for (int64_t r = begin; r < end; ++r) {
    Decode(w.type, w.row(r), w.cols, row.data());
    for (int64_t t = 0; t < tokens; ++t) {
      Dots<1>(row.data(), 0, x + t * w.cols, w.cols, y + t * w.rows + r);
    }
  }
}

// y[tokens, rows] of each product for a few tokens, row by row.
void MatMulRows(std::span<const Product> products, const float* x, int64_t tokens) {
  const int64_t bytes = StreamBytes(products);
  const auto work = CutRows(products, [&](const Matrix& w) {
    return IsFloat(w.type) ? bytes / std::max<int64_t>(w.row_bytes(), 1)
                           : kDecodedPiece / std::max<int64_t>(w.cols, 1);
  });
  ParallelFor(std::ssize(work), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const RowPiece& piece = work[static_cast<size_t>(i)];
      const auto& [w, y] = products[piece.product];
      const int64_t from = piece.first, to = piece.first + piece.rows;
      switch (w->type) {
        case Type::kF32:
          PlainRows<float>(*w, from, to, x, tokens, y);
          break;
        case Type::kF16:
          PlainRows<hwy::float16_t>(*w, from, to, x, tokens, y);
          break;
        case Type::kBF16:
          PlainRows<hwy::bfloat16_t>(*w, from, to, x, tokens, y);
          break;
        default:
          DecodedRows(*w, from, to, x, tokens, y);
      }
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
  std::vector<Product> rounded, few;
  std::optional<StepActivations> steps;
  for (const Product& product : products) {
    const Matrix& w = *product.w;
    QUERN_CHECK(w.cols == cols && w.cols % InfoOf(w.type).elems == 0 && tokens > 0);
    if (HasCodeProducts(w.type)) {
      rounded.push_back(product);
    } else if (tokens <= kFewTokens) {
      few.push_back(product);
    } else {
      if (!steps) steps.emplace(x, tokens, cols);
      HWY_DYNAMIC_DISPATCH(MatMulTiles)(w, *steps, tokens, product.y);
    }
  }
  if (!few.empty()) HWY_DYNAMIC_DISPATCH(MatMulRows)(few, x, tokens);
  if (!rounded.empty()) MatMulCodes(rounded, x, tokens, cols);
}

bool RoundsActivations(Type type) { return HasCodeProducts(type); }

}  // namespace quern
#endif
