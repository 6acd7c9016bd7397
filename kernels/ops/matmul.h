#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

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

// One of several products with the same activations.
struct Product {
  const Matrix* w;
  float* y;  // [tokens, w->rows]
};

// y[tokens, w.rows] = x[tokens, w.cols] * transpose(w), all row-major, on all threads; only a tile
// of the weights is ever unpacked, in each thread. Sums are float32. Where the machine has byte dot
// products, the common quantized types are multiplied with activations rounded to 8 bits, as
// llama.cpp does (matmul_codes.h tells which); all others meet the float32 activations.
void MatMul(std::span<const Product> products, const float* x, int64_t tokens);
inline void MatMul(const Matrix& w, const float* x, int64_t tokens, float* y) {
  const Product product{&w, y};
  MatMul({&product, 1}, x, tokens);
}

// Whether MatMul rounds the activations of this type's products to 8 bits on this machine.
bool RoundsActivations(Type type);

}  // namespace quern
