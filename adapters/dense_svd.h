#pragma once

#include <span>

#include "adapters/low_rank_delta.h"

namespace quern {

// The best approximation of `matrix` [rows, cols] of at most `rank`, left = U S, right = V^T, by
// subspace iteration from a fixed random start (Halko, Martinsson, Tropp 2011, algorithms 4.4 and
// 5.1), with more columns than are kept, until it changes no more. Exact but for rounding where the
// matrix has that rank.
Factors TruncateMatrix(std::span<const float> matrix, int64_t rows, int64_t cols, int64_t rank);

}  // namespace quern
