#pragma once

#include <cstdint>
#include <vector>

#include "adapters/combine.h"

namespace quern {

// SplitMix64 (Steele et al. 2014): numbers in [0, 1), the same everywhere.
class RandomShares {
 public:
  explicit RandomShares(uint64_t seed) : state_(seed) {}
  double Next();

 private:
  uint64_t state_;
};

// Tensors of one shape as PEFT's merge_utils adds them up: of each is dropped what `dropped` says,
// then the weighted rest is summed, or where signs are `elected` (TIES, Yadav et al. 2023) the mean
// of those elements is taken whose sign won. Density and the way to elect are those of the options.
struct TensorSum {
  Dropped dropped;
  bool elects;
  double density;
  bool by_frequency;

  std::vector<float> Of(std::vector<std::vector<float>> tensors, const std::vector<double>& weights,
                        RandomShares& random) const;
};

}  // namespace quern
