#pragma once

#include <cstdint>

namespace quern {

// out[rows, cols] += scale * left[rows, rank] right[rank, cols], all row-major and dense. Products
// are summed over the rank in ascending order, each product, sum and the scaling rounded to float32
// on its own, so that a row's bytes depend neither on the target nor on how the rows are cut.
void AddLowRank(const float* left, const float* right, int64_t rows, int64_t rank, int64_t cols,
                float scale, float* out);

}  // namespace quern
