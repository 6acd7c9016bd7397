#include "adapters/product_svd.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace quern {
namespace {

// A matrix of doubles, kept column by column.
struct Columns {
  int64_t rows = 0, count = 0;
  std::vector<double> values;
  Columns(int64_t rows, int64_t count)
      : rows(rows), count(count), values(static_cast<size_t>(rows * count)) {}
  double* operator[](int64_t column) { return values.data() + column * rows; }
  const double* operator[](int64_t column) const { return values.data() + column * rows; }
};

double Dot(const double* a, const double* b, int64_t n) {
  return std::inner_product(a, a + n, b, 0.0);
}

// q becomes orthonormal (columns that depend on earlier ones become zero), and q r is what it was.
// Gram-Schmidt, done twice: then the columns are orthogonal to rounding (Giraud et al. 2005).
Columns Orthonormalize(Columns& q) {
  Columns r(q.count, q.count);
  for (int64_t j = 0; j < q.count; ++j) {
    const double before = std::sqrt(Dot(q[j], q[j], q.rows));
    for (int pass = 0; pass < 2; ++pass) {
      for (int64_t i = 0; i < j; ++i) {
        const double part = Dot(q[i], q[j], q.rows);
        r[j][i] += part;
        for (int64_t k = 0; k < q.rows; ++k) q[j][k] -= part * q[i][k];
      }
    }
    const double norm = std::sqrt(Dot(q[j], q[j], q.rows));
    const bool depends = norm <= 1e-13 * before;
    r[j][j] = depends ? 0 : norm;
    for (int64_t k = 0; k < q.rows; ++k) q[j][k] = depends ? 0 : q[j][k] / norm;
  }
  return r;
}

// One-sided Jacobi (Hestenes 1958): rotates pairs of columns of `m` until all are orthogonal, and
// `v` along; then the columns' norms are m's singular values.
void Diagonalize(Columns& m, Columns& v) {
  constexpr int kMaxSweeps = 60;
  constexpr double kOrthogonal = 1e-15;
  bool rotated = true;
  for (int sweep = 0; sweep < kMaxSweeps && rotated; ++sweep) {
    rotated = false;
    for (int64_t i = 0; i < m.count; ++i) {
      for (int64_t j = i + 1; j < m.count; ++j) {
        const double a = Dot(m[i], m[i], m.rows), b = Dot(m[j], m[j], m.rows);
        const double c = Dot(m[i], m[j], m.rows);
        if (std::fabs(c) <= kOrthogonal * std::sqrt(a * b) || c == 0) continue;
        rotated = true;
        const double zeta = (b - a) / (2 * c);
        const double t = std::copysign(1.0, zeta) / (std::fabs(zeta) + std::hypot(1.0, zeta));
        const double cosine = 1 / std::hypot(1.0, t), sine = cosine * t;
        for (Columns* both : {&m, &v}) {
          for (int64_t k = 0; k < both->rows; ++k) {
            const double x = (*both)[i][k], y = (*both)[j][k];
            (*both)[i][k] = cosine * x - sine * y;
            (*both)[j][k] = sine * x + cosine * y;
          }
        }
      }
    }
  }
}

}  // namespace

Factors TruncateProduct(const Factors& product, int64_t rank) {
  const int64_t inner = product.rank;
  Columns left(product.rows, inner), right(product.cols, inner);
  for (int64_t k = 0; k < inner; ++k) {
    for (int64_t row = 0; row < product.rows; ++row) {
      left[k][row] = product.left[static_cast<size_t>(row * inner + k)];
    }
    for (int64_t col = 0; col < product.cols; ++col) {
      right[k][col] = product.right[static_cast<size_t>(k * product.cols + col)];
    }
  }
  // left right^T = Q_l (R_l R_r^T) Q_r^T; the singular values are those of the small core.
  const Columns left_r = Orthonormalize(left), right_r = Orthonormalize(right);
  Columns core(inner, inner), turned(inner, inner);
  for (int64_t j = 0; j < inner; ++j) {
    turned[j][j] = 1;
    for (int64_t i = 0; i < inner; ++i) {
      for (int64_t k = 0; k < inner; ++k) core[j][i] += left_r[k][i] * right_r[k][j];
    }
  }
  Diagonalize(core, turned);
  std::vector<double> squares(static_cast<size_t>(inner));
  for (int64_t k = 0; k < inner; ++k)
    squares[static_cast<size_t>(k)] = Dot(core[k], core[k], inner);
  std::vector<int64_t> order(static_cast<size_t>(inner));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return squares[static_cast<size_t>(a)] > squares[static_cast<size_t>(b)];
  });
  Factors out;
  out.rows = product.rows;
  out.rank = std::min(rank, inner);
  out.cols = product.cols;
  out.left.resize(static_cast<size_t>(out.rows * out.rank));
  out.right.resize(static_cast<size_t>(out.rank * out.cols));
  for (int64_t k = 0; k < out.rank; ++k) {
    const int64_t from = order[static_cast<size_t>(k)];
    for (int64_t i = 0; i < inner; ++i) {
      for (int64_t row = 0; row < out.rows; ++row) {
        out.left[static_cast<size_t>(row * out.rank + k)] +=
            static_cast<float>(left[i][row] * core[from][i]);
      }
      for (int64_t col = 0; col < out.cols; ++col) {
        out.right[static_cast<size_t>(k * out.cols + col)] +=
            static_cast<float>(right[i][col] * turned[from][i]);
      }
    }
  }
  return out;
}

}  // namespace quern
