#pragma once

#include <vector>

#include "model/weights.h"

namespace quern {

// The types of a model's matrices, by what their products do on this machine (RoundsActivations).
// What rounds activations to 8 bits adds to the difference from a model that does not.
struct ProductTypes {
  std::vector<Type> rounding, exact;  // in the order of gguf/types.h
};
ProductTypes ProductTypesOf(const Weights& weights);

}  // namespace quern
