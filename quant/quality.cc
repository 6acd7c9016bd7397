#include "quant/quality.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "kernels/codec.h"

namespace quern {

double EncodingError::rmse() const {
  return weights ? std::sqrt(squared_error / static_cast<double>(weights)) : 0;
}

double EncodingError::relative() const {
  return squared_weight > 0 ? std::sqrt(squared_error / squared_weight) : 0;
}

void EncodingError::Add(const EncodingError& other) {
  weights += other.weights;
  squared_error += other.squared_error;
  squared_weight += other.squared_weight;
  largest_error = std::max(largest_error, other.largest_error);
}

EncodingError MeasureError(std::span<const float> weights, std::span<const float> got) {
  QUERN_CHECK(weights.size() == got.size());
  EncodingError error;
  error.weights = std::ssize(weights);
  for (size_t i = 0; i < weights.size(); ++i) {
    const double weight = weights[i];
    const double difference = got[i] - weight;
    error.squared_error += difference * difference;
    error.squared_weight += weight * weight;
    error.largest_error = std::max(error.largest_error, std::abs(static_cast<float>(difference)));
  }
  return error;
}

QualityMeter::QualityMeter(std::vector<Type> types)
    : types_(std::move(types)), errors_(types_.size()) {}

void QualityMeter::Encoded(size_t tensor, int64_t, std::span<const float> weights,
                           std::span<const std::byte> encoded) {
  const Type type = types_[tensor];
  // A multiple of every block.
  constexpr size_t kPiece = 2048;
  std::array<float, kPiece> decoded;
  EncodingError error;
  for (size_t done = 0; done < weights.size(); done += kPiece) {
    const size_t count = std::min(kPiece, weights.size() - done);
    const auto offset = static_cast<size_t>(RowBytes(type, static_cast<int64_t>(done)));
    Decode(type, encoded.data() + offset, static_cast<int64_t>(count), decoded.data());
    error.Add(MeasureError(weights.subspan(done, count), std::span(decoded).first(count)));
  }
  std::lock_guard lock(mutex_);
  errors_[tensor].Add(error);
}

EncodingError QualityMeter::Total() const {
  EncodingError total;
  for (const EncodingError& error : errors_) total.Add(error);
  return total;
}

}  // namespace quern
