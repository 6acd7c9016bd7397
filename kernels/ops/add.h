#pragma once

#include <cstdint>

namespace quern {

// y[n] += x[n].
void Add(const float* x, int64_t n, float* y);

// y[rows, dim] += bias[dim], in every row.
void AddBias(const float* bias, int64_t rows, int64_t dim, float* y);

}  // namespace quern
