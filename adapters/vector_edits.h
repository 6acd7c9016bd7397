#pragma once

#include <utility>
#include <vector>

#include "adapters/edit.h"

namespace quern {

// A vector that is added to a bias.
class AddVector : public Edit {
 public:
  explicit AddVector(std::vector<float> values) : values_(std::move(values)) {}
  void Apply(int64_t, int64_t, std::span<float> rows) const override {
    for (size_t i = 0; i < rows.size(); ++i) rows[i] += values_[i];
  }

 private:
  std::vector<float> values_;
};

// A vector that takes a bias's place.
class ReplaceVector : public Edit {
 public:
  explicit ReplaceVector(std::vector<float> values) : values_(std::move(values)) {}
  void Apply(int64_t, int64_t, std::span<float> rows) const override {
    for (size_t i = 0; i < rows.size(); ++i) rows[i] = values_[i];
  }

 private:
  std::vector<float> values_;
};

}  // namespace quern
