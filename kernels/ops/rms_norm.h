#pragma once

#include <cstdint>

namespace quern {

// y[rows, dim] = w * x / sqrt(mean(x^2) + eps), row by row (Zhang & Sennrich 2019, eq. 4). x and y
// may be the same; w has dim elements.
void RmsNorm(const float* x, const float* w, float eps, int64_t rows, int64_t dim, float* y);

}  // namespace quern
