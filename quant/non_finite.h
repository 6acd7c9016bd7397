#pragma once

#include <cstdint>
#include <vector>

#include "base/progress.h"
#include "gguf/tensor_source.h"

namespace quern {

// A tensor with NaN or Inf, and the flat index of the first.
struct NonFinite {
  size_t tensor;
  int64_t index;
};

// Reads every weight of the source, on all threads, and finds the tensors that hold NaN or Inf, in
// the source's order. Memory: a piece per thread.
std::vector<NonFinite> FindNonFinite(const TensorSource& source, Progress& progress);

}  // namespace quern
