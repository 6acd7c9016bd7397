#include "kernels/ops/low_rank.h"

#include <doctest/doctest.h>

#include <cstring>
#include <vector>

namespace quern {
namespace {

std::vector<float> Numbers(int64_t count, uint32_t seed) {
  std::vector<float> numbers(static_cast<size_t>(count));
  for (float& number : numbers) {
    seed = seed * 1664525 + 1013904223;
    number = static_cast<float>(static_cast<int32_t>(seed)) * 0x1p-31f;
  }
  return numbers;
}

TEST_CASE("AddLowRank gives the bytes of the plain loop at every size") {
  for (const int64_t rank : {1, 3, 16, 65}) {
    for (const int64_t cols : {1, 7, 31, 32, 33, 257}) {
      for (const int64_t rows : {1, 2, 3, 4, 5, 9}) {
        const auto left = Numbers(rows * rank, 1), right = Numbers(rank * cols, 2);
        const auto base = Numbers(rows * cols, 3);
        auto wanted = base, got = base;
        const float scale = 0.3f;
        for (int64_t r = 0; r < rows; ++r) {
          for (int64_t c = 0; c < cols; ++c) {
            float sum = 0;
            for (int64_t k = 0; k < rank; ++k) {
              sum += left[static_cast<size_t>(r * rank + k)] *
                     right[static_cast<size_t>(k * cols + c)];
            }
            wanted[static_cast<size_t>(r * cols + c)] += scale * sum;
          }
        }
        AddLowRank(left.data(), right.data(), rows, rank, cols, scale, got.data());
        CAPTURE(rank);
        CAPTURE(cols);
        CAPTURE(rows);
        CHECK(std::memcmp(wanted.data(), got.data(), wanted.size() * sizeof(float)) == 0);
      }
    }
  }
}

}  // namespace
}  // namespace quern
