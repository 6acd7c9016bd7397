#include "adapters/dora_delta.h"

#include <cmath>

namespace quern {

void DoraRows::Apply(int64_t first, int64_t count, std::span<float> rows) const {
  delta_->Apply(first, count, rows);
  const auto cols = rows.size() / static_cast<size_t>(count);
  for (int64_t row = 0; row < count; ++row) {
    const auto values = rows.subspan(static_cast<size_t>(row) * cols, cols);
    double square = 0;
    for (const float value : values) square += static_cast<double>(value) * value;
    const auto norm = static_cast<float>(std::sqrt(square));
    const float factor = magnitudes_[static_cast<size_t>(first + row)] / norm;
    for (float& value : values) value *= factor;
  }
}

void DoraColumns::Apply(int64_t first, int64_t count, std::span<float> rows) const {
  delta_->Apply(first, count, rows);
  for (size_t i = 0; i < rows.size(); ++i) rows[i] *= factors_[i % factors_.size()];
}

}  // namespace quern
