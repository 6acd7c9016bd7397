#include "adapters/merge_plan.h"

#include "adapters/low_rank_delta.h"

namespace quern {

std::vector<const LowRankDelta*> LowRankSteps(const MergedTensor& tensor) {
  std::vector<const LowRankDelta*> deltas;
  for (const auto& step : tensor.steps) {
    const auto* delta = dynamic_cast<const LowRankDelta*>(step.edit.get());
    if (!delta) return {};
    deltas.push_back(delta);
  }
  return deltas;
}

}  // namespace quern
