#pragma once

#include <utility>
#include <vector>

#include "adapters/edit.h"

namespace quern {

// A vector that is added to a bias.
class VectorDelta : public Edit {
 public:
  explicit VectorDelta(std::vector<float> values) : values_(std::move(values)) {}
  void Apply(int64_t, int64_t, std::span<float> rows) const override {
    for (size_t i = 0; i < rows.size(); ++i) rows[i] += values_[i];
  }

 private:
  std::vector<float> values_;
};

}  // namespace quern
