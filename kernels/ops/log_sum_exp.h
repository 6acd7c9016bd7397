#pragma once

#include <cstdint>

namespace quern {

// log(sum(exp(x))) of x[n], computed about the largest; NaN where an element is.
double LogSumExp(const float* x, int64_t n);

}  // namespace quern
