#pragma once

#include <memory>
#include <span>
#include <vector>

#include "adapters/low_rank_delta.h"
#include "adapters/merge_plan.h"

namespace quern {

// A low-rank delta, the tensor that it changes, and its entry in the report.
struct PlannedDelta {
  size_t tensor;
  size_t report;
  std::shared_ptr<const LowRankDelta> delta;
};

// Fills in the norms of a report whose vectors have theirs already, and the total. Several deltas
// of one tensor count as their sum. Reads each factor once or twice; kNonFinite for NaN and Inf.
// Error kBadInput where all deltas of an adapter, or all together, are zero.
void MeasureDeltas(std::span<const PlannedDelta> deltas, MergeReport& report);

}  // namespace quern
