#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "base/parallel.h"
#include "kernels/ops/matmul.h"

namespace quern {

// Rows [first, first + rows) of products[product]: what a thread takes at a time.
struct RowPiece {
  size_t product;
  int64_t first, rows;
};

// Bytes of weights that a thread takes at a time where it reads each but once: long streams (with
// 512 KB 2 threads read 10 % faster than with 64), yet some pieces for every thread.
inline int64_t StreamBytes(std::span<const Product> products) {
  int64_t bytes = 0;
  for (const Product& product : products) bytes += product.w->rows * product.w->row_bytes();
  return std::clamp<int64_t>(bytes / (8 * ThreadCount()), 64 << 10, 512 << 10);
}

// All rows of all products; step(matrix) of them together.
template <class Step>
std::vector<RowPiece> CutRows(std::span<const Product> products, const Step& step) {
  std::vector<RowPiece> pieces;
  for (size_t i = 0; i < products.size(); ++i) {
    const Matrix& w = *products[i].w;
    const int64_t rows = std::max<int64_t>(step(w), 1);
    for (int64_t r = 0; r < w.rows; r += rows) pieces.push_back({i, r, std::min(rows, w.rows - r)});
  }
  return pieces;
}

}  // namespace quern
