#include "base/parallel.h"
#include "kernels/ops/add.h"

namespace quern {

void Add(const float* x, int64_t n, float* y) {
  ParallelFor(n, 65536, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) y[i] += x[i];
  });
}

void AddBias(const float* bias, int64_t rows, int64_t dim, float* y) {
  ParallelFor(rows, 64, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      for (int64_t i = 0; i < dim; ++i) y[r * dim + i] += bias[i];
    }
  });
}

}  // namespace quern
