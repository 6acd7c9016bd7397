#pragma once

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "kernels/targets.h"

namespace quern::testing {

// Numbers of a normal distribution, the same for the same seed.
inline std::vector<float> Normal(int64_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = normal(random);
  return values;
}

// The awkward sizes: below, at and beyond every vector's length.
inline constexpr int64_t kAwkward[] = {1, 31, 32, 33, 257};

// Runs `test` on every instruction set that this machine has, and on the fastest again at the end.
template <typename Test>
void OnEveryTarget(Test test) {
  struct Restore {
    ~Restore() { UseKernelTarget(""); }
  } restore;
  for (const std::string& target : KernelTargets()) {
    CAPTURE(target);
    REQUIRE(UseKernelTarget(target));
    test();
  }
}

// Every element within `tolerance` of what is wanted, relative to the largest of them.
inline void CheckNear(std::span<const float> got, std::span<const double> wanted,
                      double tolerance) {
  REQUIRE(got.size() == wanted.size());
  double largest = 1e-30, worst = 0;
  for (const double value : wanted) largest = std::max(largest, std::abs(value));
  for (size_t i = 0; i < got.size(); ++i) {
    const double distance = std::abs(got[i] - wanted[i]);
    // A NaN compares as nothing, so it is made to be the worst.
    worst = std::isnan(distance) ? INFINITY : std::max(worst, distance);
  }
  CHECK(worst <= tolerance * largest);
}

}  // namespace quern::testing
