#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "adapters/base_names.h"
#include "adapters/edit.h"
#include "adapters/lora_adapter.h"

namespace quern {

// A tensor of the adapter takes the place of the base's: a module that was trained as a whole.
class ReplaceMatrix : public Edit {
 public:
  // tensor: of the adapter, with the merged tensor's columns; rows that it lacks stay as they are.
  ReplaceMatrix(std::shared_ptr<const LoraAdapter> adapter, size_t tensor, BaseTensor place)
      : adapter_(std::move(adapter)), tensor_(tensor), place_(std::move(place)) {}
  // Error kNonFinite for NaN and Inf.
  void Apply(int64_t first, int64_t count, std::span<float> rows) const override;

 private:
  std::shared_ptr<const LoraAdapter> adapter_;
  size_t tensor_;
  BaseTensor place_;
};

// Some rows of a matrix are replaced: the tokens of an embedding that were trained.
class ReplaceRows : public Edit {
 public:
  // values[indices.size(), cols]; the indices ascend.
  ReplaceRows(std::vector<int64_t> indices, std::vector<float> values)
      : indices_(std::move(indices)), values_(std::move(values)) {}
  void Apply(int64_t first, int64_t count, std::span<float> rows) const override;

 private:
  std::vector<int64_t> indices_;
  std::vector<float> values_;
};

}  // namespace quern
