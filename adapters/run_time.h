#pragma once

#include <memory>

#include "adapters/merged_source.h"
#include "model/adaptation.h"

namespace quern {

// What the merge does, done while the model runs: low-rank deltas stay products beside the base's
// weights, whatever type those have; tensors that are changed in another way (DoRA, biases, modules
// and tokens that were trained) are merged as they are loaded. `merged` names the base's tensors as
// GGUF does. Error kNonFinite for NaN and Inf.
Adaptation AdaptAtRunTime(const std::shared_ptr<const MergedSource>& merged);

}  // namespace quern
