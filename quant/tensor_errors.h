#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/progress.h"
#include "gguf/tensor_source.h"
#include "quant/quality.h"

namespace quern {

// A tensor of a candidate beside the reference's tensor of the same name.
struct TensorDifference {
  std::string name;
  std::vector<int64_t> shape;
  Type type = Type::kF32;              // the candidate's
  std::optional<Type> reference_type;  // none where the reference has no such tensor
  int64_t bytes = 0;                   // in the candidate
  // Of the candidate's weights, against the reference's; none where one of them has no such tensor,
  // another shape, or a type that cannot be decoded.
  std::optional<EncodingError> error;
};

// Each tensor of the candidate, in its order. A few rows at a time are in memory. Error kNonFinite,
// naming the tensor, where either holds NaN or Inf.
std::vector<TensorDifference> CompareTensors(const TensorSource& reference,
                                             const TensorSource& candidate, Progress& progress);

}  // namespace quern
