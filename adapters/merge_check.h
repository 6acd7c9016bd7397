#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "adapters/merge_plan.h"

namespace quern {

// What a check of a merged model found.
struct MergeCheck {
  int64_t tensors = 0;    // that were compared, those that no adapter changes among them
  int64_t changed = 0;    // that an adapter changes
  int64_t quantized = 0;  // left out: what they hold is not W + B A but its code
  // The largest error, in steps of the type that the tensor was rounded to: those at the magnitude
  // of what was added up, where the sum is near zero.
  double max_steps = 0;
  std::string worst;  // the tensor that has it, by its HF name
};

// Computes every tensor of a merged model anew in double, by PEFT's formulas and from the tensors
// of base and adapters alone (no plan, no edit, no float32), and compares it with what `merged`
// holds. Half a step is what rounding costs; error kOutput, naming tensor, row and column, for one
// that is further off than its roundings explain, or a tensor that is missing or has another shape.
MergeCheck CheckMerge(const TensorSource& base, const BaseNames& base_names,
                      std::span<const WeightedAdapter> adapters, const TensorSource& merged,
                      const BaseNames& merged_names);

}  // namespace quern
