#pragma once

#include "adapters/merge_plan.h"

namespace quern {

// Fills in the norms of the plan's report. Low-rank deltas are measured by their factors alone; of
// tensors with other steps the base is read. Several steps of one tensor count together in the
// total. kNonFinite for NaN and Inf. Error kBadInput where all that an adapter does, or all
// together, is nothing.
void MeasureMerge(const TensorSource& base, MergePlan& plan);

}  // namespace quern
