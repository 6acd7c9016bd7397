#pragma once

#include "adapters/low_rank_delta.h"

namespace quern {

// The best approximation of left x right of at most `rank` (Eckart-Young): its truncated singular
// value decomposition, left = U S, right = V^T. Works on the factors alone, in double: with R the
// rank of the factors the cost is (rows + cols) R^2, and the full product is never made.
Factors TruncateProduct(const Factors& product, int64_t rank);

}  // namespace quern
