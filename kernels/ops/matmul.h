#pragma once

#include <cstddef>
#include <cstdint>

#include "gguf/types.h"

namespace quern {

// A weight matrix where it lies, in any type that codec.h decodes: rows of RowBytes(type, cols).
struct Matrix {
  Type type = Type::kF32;
  const std::byte* data = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;

  int64_t row_bytes() const { return RowBytes(type, cols); }
  const std::byte* row(int64_t i) const { return data + i * row_bytes(); }
};

// y[tokens, w.rows] = x[tokens, w.cols] * transpose(w), all row-major, in float32: only a tile of
// the weights is ever decoded, in each thread. Runs on all threads.
void MatMul(const Matrix& w, const float* x, int64_t tokens, float* y);

}  // namespace quern
