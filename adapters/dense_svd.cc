#include "adapters/dense_svd.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "adapters/float_rows.h"
#include "adapters/product_svd.h"
#include "base/error.h"
#include "base/parallel.h"
#include "kernels/ops/low_rank.h"
#include "kernels/ops/matmul.h"

namespace quern {
namespace {

constexpr int64_t kLeastSpare = 10;  // columns beyond the rank
constexpr int64_t kRowBlock = 64;    // rows of the matrix that stay in the cache
// Each iteration lessens the error by the squared ratio of the first singular value beyond the
// columns to the last within the rank. The result is looked at after some of them, and is good when
// it has changed by no more than this part of its norm.
constexpr int kIterations = 4, kMostIterations = 400;
constexpr double kSettled = 1e-6;

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

// The best product of `rank` whose columns `basis` spans: basis[count, rows] is orthonormal,
// right[count, cols] = basis matrix.
Factors BestWithin(const std::vector<float>& basis, const std::vector<float>& right, int64_t count,
                   int64_t rank) {
  const auto rows = static_cast<int64_t>(basis.size()) / count;
  return TruncateProduct({.left = Transposed(basis, count, rows),
                          .right = right,
                          .rows = rows,
                          .rank = count,
                          .cols = static_cast<int64_t>(right.size()) / count},
                         rank);
}

double Norm(const Factors& factors) {
  return std::sqrt(std::max(InnerProduct(factors, factors), 0.0));
}

// ||p - q||, but for rounding of 1e-8 of their norms.
double Distance(const Factors& p, const Factors& q) {
  const double square = InnerProduct(p, p) - 2 * InnerProduct(p, q) + InnerProduct(q, q);
  return std::sqrt(std::max(square, 0.0));
}

}  // namespace

Factors TruncateMatrix(std::span<const float> matrix, int64_t rows, int64_t cols, int64_t rank) {
  QUERN_CHECK(matrix.size() == static_cast<size_t>(rows * cols) && rank > 0);
  const int64_t count = std::min({rank + std::max(rank, kLeastSpare), rows, cols});
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> start(static_cast<size_t>(count * cols));
  for (float& value : start) value = normal(random);
  // The rows of `basis` come to span the matrix's leading columns.
  std::vector<float> basis = TimesTransposed(start, matrix, count, rows, cols);
  Orthonormalize(basis, count, rows);
  Factors best;
  for (int i = 0; i < kMostIterations; ++i) {
    std::vector<float> inputs = TimesMatrix(basis, matrix, count, rows, cols);
    if (i > 0 && i % kIterations == 0) {
      Factors next = BestWithin(basis, inputs, count, rank);
      const bool settled = best.rank > 0 && Distance(best, next) <= kSettled * Norm(next);
      best = std::move(next);
      if (settled) break;
    }
    Orthonormalize(inputs, count, cols);
    basis = TimesTransposed(inputs, matrix, count, rows, cols);
    Orthonormalize(basis, count, rows);
  }
  return best;
}

}  // namespace quern
