// Included once per target.
#if defined(QUERN_KERNELS_OPS_WEIGHT_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_OPS_WEIGHT_TILE_INL_H_
#undef QUERN_KERNELS_OPS_WEIGHT_TILE_INL_H_
#else
#define QUERN_KERNELS_OPS_WEIGHT_TILE_INL_H_
#endif

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cstddef>

#include "kernels/codec.h"
#include "kernels/ops/float_rows-inl.h"
#include "kernels/ops/matmul.h"

// A tile: some columns of as many rows of a weight matrix as the micro-kernel of matmul_cpu.cc
// meets at once, as float32 and turned round: [cols, tile rows].

#ifndef QUERN_WEIGHT_TILE_PARAMS
#define QUERN_WEIGHT_TILE_PARAMS
namespace quern {

// Columns of a tile that are decoded at once, the longest block of any type, and those of one pass
// of the micro-kernel: 64 columns of 64 rows are 16 KB, half of L1.
constexpr int64_t kTileCols = 256;
constexpr int64_t kStepCols = 64;

}  // namespace quern
#endif

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// A tile is so many vectors of rows: with six tokens 24 accumulators, of 32 registers, or 12 of 16.
#if HWY_TARGET <= HWY_AVX3 || HWY_TARGET == HWY_NEON
constexpr int kVectors = 4;
#else
constexpr int kVectors = 2;
#endif
HWY_INLINE int64_t TileRows() { return kVectors * FloatLanes(); }

// Columns [col, col + cols) of the weight rows [first, first + rows) to tile[cols, tile rows]; the
// tile's rows behind the last are sums that nobody reads.
template <class T>
void LoadPlain(const Matrix& w, int64_t first, int64_t rows, int64_t col, int64_t cols,
               float* tile) {
  const T* from = reinterpret_cast<const T*>(w.data) + first * w.cols + col;
  for (int64_t r0 = 0; r0 < TileRows(); r0 += 4) {
    const T* four[4];
    for (int64_t r = 0; r < 4; ++r) four[r] = from + std::min(r0 + r, rows - 1) * w.cols;
    TurnRows(four, std::min<int64_t>(4, TileRows()), cols, tile + r0, TileRows());
  }
}
void LoadDecoded(const Matrix& w, int64_t first, int64_t rows, int64_t col, int64_t cols,
                 float* tile) {
  alignas(64) float decoded[4][kTileCols];
  const float* const four[4] = {decoded[0], decoded[1], decoded[2], decoded[3]};
  const int64_t stride = w.row_bytes();
  const std::byte* from = w.row(first) + RowBytes(w.type, col);
  for (int64_t r0 = 0; r0 < TileRows(); r0 += 4) {
    for (int64_t r = 0; r < 4; ++r) {
      Decode(w.type, from + std::min(r0 + r, rows - 1) * stride, cols, decoded[r]);
    }
    TurnRows(four, std::min<int64_t>(4, TileRows()), cols, tile + r0, TileRows());
  }
}

// How tiles of a type are made: so many columns at a time.
struct TileLoader {
  int64_t cols;
  void (*load)(const Matrix&, int64_t first, int64_t rows, int64_t col, int64_t cols, float* tile);

  explicit TileLoader(Type type) : cols(kStepCols) {
    switch (type) {
      case Type::kF32:
        load = LoadPlain<float>;
        break;
      case Type::kF16:
        load = LoadPlain<hwy::float16_t>;
        break;
      case Type::kBF16:
        load = LoadPlain<hwy::bfloat16_t>;
        break;
      default:
        cols = kTileCols;
        load = LoadDecoded;
    }
  }
};

// Fetches part by part what a loader will read next, while the micro-kernel works.
class TileFetch {
 public:
  TileFetch(const Matrix& w, int64_t first, int64_t rows, int64_t col, int64_t cols, int64_t parts)
      : from_(col < w.cols ? w.row(first) + RowBytes(w.type, col) : nullptr),
        stride_(w.row_bytes()),
        bytes_(from_ ? RowBytes(w.type, std::min(cols, w.cols - col)) : 0),
        rows_(from_ ? rows : 0),
        step_((rows + parts - 1) / parts) {}

  void Next() {
    for (const int64_t end = std::min(rows_, row_ + step_); row_ < end; ++row_) {
      for (int64_t at = 0; at < bytes_; at += 64) hwy::Prefetch(from_ + row_ * stride_ + at);
    }
  }

 private:
  const std::byte* from_;
  int64_t stride_, bytes_, rows_, step_, row_ = 0;
};

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
