#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "adapters/edit.h"
#include "adapters/low_rank_delta.h"
#include "gguf/tensor_source.h"

namespace quern {

// DoRA (Liu et al. 2024, eq. 5) of a linear layer: W' = m / ||W + delta|| (W + delta), one norm and
// one magnitude for each row, which is an output.
class DoraRows : public Edit {
 public:
  // magnitudes: of each row, in the base's order.
  DoraRows(std::shared_ptr<const LowRankDelta> delta, std::vector<float> magnitudes)
      : delta_(std::move(delta)), magnitudes_(std::move(magnitudes)) {}
  void Apply(int64_t first, int64_t count, std::span<float> rows) const override;

 private:
  std::shared_ptr<const LowRankDelta> delta_;
  std::vector<float> magnitudes_;
};

// The same of an embedding, where the norm runs over the vocabulary: one for each column.
class DoraColumns : public Edit {
 public:
  // factors: magnitude / norm of each column.
  DoraColumns(std::shared_ptr<const LowRankDelta> delta, std::vector<float> factors)
      : delta_(std::move(delta)), factors_(std::move(factors)) {}
  void Apply(int64_t first, int64_t count, std::span<float> rows) const override;

 private:
  std::shared_ptr<const LowRankDelta> delta_;
  std::vector<float> factors_;
};

}  // namespace quern
