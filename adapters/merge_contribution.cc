#include "adapters/merge_contribution.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace quern {
namespace {

void Set(size_t at, std::span<const float> values, ExactRows& rows) {
  for (size_t j = 0; j < values.size(); ++j) {
    rows.values[at + j] = values[j];
    rows.magnitudes[at + j] = std::fabs(values[j]);
    rows.slack[at + j] = 0;
  }
}

void Multiply(size_t at, double factor, ExactRows& rows) {
  rows.values[at] *= factor;
  rows.magnitudes[at] *= std::fabs(factor);
  rows.slack[at] *= std::fabs(factor);
}

}  // namespace

double StepOf(Type type, double value) {
  const int digits = type == Type::kBF16 ? 7 : type == Type::kF16 ? 10 : 23;
  const int least = type == Type::kF16 ? -14 : -126;
  return std::ldexp(1.0, (value == 0 ? least : std::max(std::ilogb(value), least)) - digits);
}

Contribution::Contribution(const WeightedAdapter& weighted, const AdapterModule& module,
                           bool of_bias, const TensorInfo& base)
    : adapter_(*weighted.adapter), module_(module), of_bias_(of_bias), weight_(weighted.weight) {
  LoadReplacements(base);
  if (!of_bias) LoadPair();
  const auto bias = module[AdapterPart::kBBias], b = module[AdapterPart::kB];
  if (of_bias && bias && b) {
    added_ = adapter_.Read(*bias);
    scale_ = ScaleOf(adapter_.tensor(*b).cols());
  }
}

double Contribution::ScaleOf(int64_t rank) const {
  return weight_ * adapter_.rules().Scale(module_.name, rank);
}

void Contribution::LoadReplacements(const TensorInfo& base) {
  const auto first_of = [&](std::initializer_list<AdapterPart> parts) -> std::optional<size_t> {
    for (const AdapterPart part : parts) {
      if (module_[part]) return module_[part];
    }
    return std::nullopt;
  };
  if (of_bias_) {
    whole_ = first_of({AdapterPart::kBias, AdapterPart::kSavedBias, AdapterPart::kBaseBias});
    return;
  }
  whole_ = first_of({AdapterPart::kWeight, AdapterPart::kSavedWeight});
  // Beside an adapted embedding this is a copy of the base, unless the vocabulary grew.
  const auto copy = first_of({AdapterPart::kBaseWeight, AdapterPart::kTokensBase});
  if (!whole_ && copy && adapter_.tensor(*copy).shape != base.shape) whole_ = copy;
  const auto tokens = module_[AdapterPart::kTokens];
  if (!tokens) return;
  if (const auto* trained = adapter_.rules().TrainedTokens(module_.name)) tokens_ = *trained;
  token_rows_ = adapter_.Read(*tokens);
}

void Contribution::LoadPair() {
  of_embedding_ = module_[AdapterPart::kEmbeddingA].has_value();
  const auto a = module_[of_embedding_ ? AdapterPart::kEmbeddingA : AdapterPart::kA];
  const auto b = module_[of_embedding_ ? AdapterPart::kEmbeddingB : AdapterPart::kB];
  if (!a || !b) return;
  rank_ = adapter_.tensor(*a).rows();
  scale_ = ScaleOf(rank_);
  rounds_ = (of_embedding_ && !module_[AdapterPart::kMagnitude]) ||
            adapter_.rules().TargetsWeight(module_.name);
  transposed_ = of_embedding_ || adapter_.config().fan_in_fan_out;
  left_ = adapter_.Read(transposed_ ? *a : *b);
  right_ = adapter_.Read(transposed_ ? *b : *a);
  if (const auto magnitude = module_[AdapterPart::kMagnitude]) {
    magnitude_ = adapter_.Read(*magnitude);
  }
}

void Contribution::Apply(std::span<const int64_t> hf_rows, int64_t cols, Type precision,
                         ExactRows& rows) const {
  for (size_t i = 0; i < hf_rows.size(); ++i) {
    const size_t at = i * static_cast<size_t>(cols);
    Replace(hf_rows[i], cols, at, rows);
    for (size_t j = 0; j < added_.size(); ++j) {
      rows.values[at + j] += scale_ * added_[j];
      rows.magnitudes[at + j] += std::fabs(scale_ * added_[j]);
    }
    if (!left_.empty()) AddProduct(hf_rows[i], cols, at, precision, rows);
    if (magnitude_.empty() || of_embedding_) continue;
    const auto row = std::span(rows.values).subspan(at, static_cast<size_t>(cols));
    const double square = std::inner_product(row.begin(), row.end(), row.begin(), 0.0);
    const double factor = magnitude_[static_cast<size_t>(hf_rows[i])] / std::sqrt(square);
    for (size_t j = 0; j < row.size(); ++j) Multiply(at + j, factor, rows);
  }
}

void Contribution::ApplyColumns(const std::vector<double>& squares, ExactRows& rows) const {
  for (size_t i = 0; i < rows.values.size(); ++i) {
    const size_t col = i % squares.size();
    Multiply(i, magnitude_[col] / std::sqrt(squares[col]), rows);
  }
}

void Contribution::Replace(int64_t row, int64_t cols, size_t at, ExactRows& rows) const {
  if (whole_ && row < adapter_.tensor(*whole_).rows()) {
    std::vector<float> values(static_cast<size_t>(cols));
    adapter_.ReadRows(*whole_, row, 1, values);
    Set(at, values, rows);
  }
  const auto token = std::find(tokens_.begin(), tokens_.end(), row);
  if (token != tokens_.end()) {
    const auto size = static_cast<size_t>(cols);
    const auto index = static_cast<size_t>(token - tokens_.begin());
    Set(at, std::span(token_rows_).subspan(index * size, size), rows);
  }
}

void Contribution::AddProduct(int64_t row, int64_t cols, size_t at, Type precision,
                              ExactRows& rows) const {
  const int64_t left_cols = static_cast<int64_t>(left_.size()) / rank_;
  std::vector<double> delta(static_cast<size_t>(cols)), sum(delta.size());
  for (int64_t k = 0; k < rank_; ++k) {
    const double factor =
        scale_ * left_[static_cast<size_t>(transposed_ ? k * left_cols + row : row * rank_ + k)];
    const float* right = right_.data() + (transposed_ ? k : k * cols);
    const int64_t stride = transposed_ ? rank_ : 1;
    for (int64_t j = 0; j < cols; ++j) {
      const double term = factor * right[j * stride];
      delta[static_cast<size_t>(j)] += term;
      sum[static_cast<size_t>(j)] += std::fabs(term);
    }
  }
  for (size_t j = 0; j < delta.size(); ++j) {
    rows.values[at + j] += delta[j];
    rows.magnitudes[at + j] += sum[j];
    if (rounds_) rows.slack[at + j] += StepOf(precision, delta[j]) / 2;
  }
}

}  // namespace quern
