#include "adapters/dense_svd.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "adapters/product_svd.h"
#include "base/error.h"
#include "base/parallel.h"
#include "kernels/ops/low_rank.h"
#include "kernels/ops/matmul.h"

namespace quern {
namespace {

constexpr int64_t kSpare = 10;     // columns beyond the rank
constexpr int kIterations = 4;     // each squares the ratio of singular values within and beyond
constexpr int64_t kRowBlock = 64;  // rows of the matrix that stay in the cache

// out[count, cols] = x[count, rows] matrix[rows, cols].
std::vector<float> TimesMatrix(const std::vector<float>& x, std::span<const float> matrix,
                               int64_t count, int64_t rows, int64_t cols) {
  std::vector<float> out(static_cast<size_t>(count * cols));
  ParallelFor(count, 4, [&](int64_t begin, int64_t end) {
    std::vector<float> left(static_cast<size_t>((end - begin) * kRowBlock));
    for (int64_t first = 0; first < rows; first += kRowBlock) {
      const int64_t block = std::min(kRowBlock, rows - first);
      for (int64_t i = begin; i < end; ++i) {
        std::copy_n(x.begin() + i * rows + first, block, left.begin() + (i - begin) * block);
      }
      AddLowRank(left.data(), matrix.data() + first * cols, end - begin, block, cols, 1.0f,
                 out.data() + begin * cols);
    }
  });
  return out;
}

// out[count, rows] = x[count, cols] transpose(matrix).
std::vector<float> TimesTransposed(const std::vector<float>& x, std::span<const float> matrix,
                                   int64_t count, int64_t rows, int64_t cols) {
  std::vector<float> out(static_cast<size_t>(count * rows));
  const Matrix weights{Type::kF32, reinterpret_cast<const std::byte*>(matrix.data()), rows, cols};
  MatMul(weights, x.data(), count, out.data());
  return out;
}

// The rows of x[count, n] become orthonormal; those that depend on earlier ones become zero.
void Orthonormalize(std::vector<float>& x, int64_t count, int64_t n) {
  const auto row = [&](int64_t i) { return x.data() + i * n; };
  const auto dot = [&](int64_t i, int64_t j) {
    double sum = 0;
    for (int64_t k = 0; k < n; ++k) sum += static_cast<double>(row(i)[k]) * row(j)[k];
    return sum;
  };
  for (int64_t j = 0; j < count; ++j) {
    const double before = std::sqrt(dot(j, j));
    // Twice is enough (Giraud et al. 2005).
    for (int pass = 0; pass < 2; ++pass) {
      for (int64_t i = 0; i < j; ++i) {
        const auto part = static_cast<float>(dot(i, j));
        for (int64_t k = 0; k < n; ++k) row(j)[k] -= part * row(i)[k];
      }
    }
    const double norm = std::sqrt(dot(j, j));
    const double factor = norm > 1e-6 * before ? 1 / norm : 0;
    for (int64_t k = 0; k < n; ++k) row(j)[k] = static_cast<float>(row(j)[k] * factor);
  }
}

}  // namespace

Factors TruncateMatrix(std::span<const float> matrix, int64_t rows, int64_t cols, int64_t rank) {
  QUERN_CHECK(matrix.size() == static_cast<size_t>(rows * cols) && rank > 0);
  const int64_t count = std::min({rank + kSpare, rows, cols});
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> start(static_cast<size_t>(count * cols));
  for (float& value : start) value = normal(random);
  // The rows of `basis` come to span the matrix's leading columns.
  std::vector<float> basis = TimesTransposed(start, matrix, count, rows, cols);
  Orthonormalize(basis, count, rows);
  for (int i = 0; i < kIterations; ++i) {
    std::vector<float> inputs = TimesMatrix(basis, matrix, count, rows, cols);
    Orthonormalize(inputs, count, cols);
    basis = TimesTransposed(inputs, matrix, count, rows, cols);
    Orthonormalize(basis, count, rows);
  }
  Factors product{.left = std::vector<float>(basis.size()),
                  .right = TimesMatrix(basis, matrix, count, rows, cols),
                  .rows = rows,
                  .rank = count,
                  .cols = cols};
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t k = 0; k < count; ++k) {
      product.left[static_cast<size_t>(row * count + k)] =
          basis[static_cast<size_t>(k * rows + row)];
    }
  }
  return TruncateProduct(product, rank);
}

}  // namespace quern
