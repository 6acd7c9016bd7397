#include "adapters/low_rank_delta.h"

#include <algorithm>

#include "adapters/float_rows.h"
#include "base/error.h"
#include "kernels/codec.h"
#include "kernels/ops/low_rank.h"

namespace quern {
namespace {

// gram[p_rank, q_rank] = p^T q, of p[n, p_rank] and q[n, q_rank].
std::vector<double> Gram(const std::vector<float>& p, int64_t p_rank, const std::vector<float>& q,
                         int64_t q_rank, int64_t n) {
  std::vector<double> gram(static_cast<size_t>(p_rank * q_rank));
  for (int64_t row = 0; row < n; ++row) {
    const float* a = p.data() + row * p_rank;
    const float* b = q.data() + row * q_rank;
    for (int64_t i = 0; i < p_rank; ++i) {
      double* sums = gram.data() + i * q_rank;
      const double factor = a[i];
      for (int64_t j = 0; j < q_rank; ++j) sums[j] += factor * b[j];
    }
  }
  return gram;
}

// Rows of `left` from the checkpoint's order into the base's.
std::vector<float> Reordered(const std::vector<float>& left, int64_t rows, int64_t rank,
                             const BaseTensor& place) {
  std::vector<float> out(left.size());
  for (int64_t row = 0; row < rows; ++row) {
    std::copy_n(left.begin() + place.HfRow(row) * rank, rank, out.begin() + row * rank);
  }
  return out;
}

}  // namespace

double InnerProduct(const Factors& p, const Factors& q) {
  QUERN_CHECK(p.rows == q.rows && p.cols == q.cols);
  const std::vector<double> left = Gram(p.left, p.rank, q.left, q.rank, p.rows);
  const std::vector<double> right = Gram(Transposed(p.right, p.rank, p.cols), p.rank,
                                         Transposed(q.right, q.rank, q.cols), q.rank, p.cols);
  double sum = 0;
  for (size_t i = 0; i < left.size(); ++i) sum += left[i] * right[i];
  return sum;
}

LowRankDelta::LowRankDelta(Source source, BaseTensor place, double scale,
                           std::shared_ptr<FactorCache> cache, std::optional<Type> round_to)
    : source_(std::move(source)),
      place_(std::move(place)),
      scale_(scale),
      cache_(std::move(cache)),
      round_to_(round_to) {}

Factors LowRankDelta::Load() const {
  const LoraAdapter& adapter = *source_.adapter;
  const TensorInfo& a = adapter.tensor(source_.a);
  const TensorInfo& b = adapter.tensor(source_.b);
  Factors factors{.left = adapter.Read(source_.b),
                  .right = adapter.Read(source_.a),
                  .rows = b.rows(),
                  .rank = a.rows(),
                  .cols = a.cols()};
  if (source_.transposed) {
    std::vector<float> left = Transposed(factors.right, factors.rank, factors.cols);
    factors.right = Transposed(factors.left, factors.rows, factors.rank);
    factors.left = std::move(left);
    std::swap(factors.rows, factors.cols);
  }
  if (place_.head_rows != 0) {
    factors.left = Reordered(factors.left, factors.rows, factors.rank, place_);
  }
  return factors;
}

void LowRankDelta::Apply(int64_t first, int64_t count, std::span<float> rows) const {
  const std::shared_ptr<const Factors> factors = LoadOnce(*cache_);
  const float* left = factors->left.data() + first * factors->rank;
  const auto scale = static_cast<float>(scale_);
  if (!round_to_) {
    AddLowRank(left, factors->right.data(), count, factors->rank, factors->cols, scale,
               rows.data());
    return;
  }
  std::vector<float> delta(rows.size());
  std::vector<std::byte> rounded(static_cast<size_t>(count * RowBytes(*round_to_, factors->cols)));
  AddLowRank(left, factors->right.data(), count, factors->rank, factors->cols, scale, delta.data());
  EncodeRows(*round_to_, delta.data(), count, factors->cols, {}, rounded.data());
  Decode(*round_to_, rounded.data(), static_cast<int64_t>(delta.size()), delta.data());
  for (size_t i = 0; i < rows.size(); ++i) rows[i] += delta[i];
}

}  // namespace quern
