#pragma once

#include <cmath>

namespace quern {

// A number with its standard error.
struct Estimate {
  double value = 0, error = 0;
};

// e to the power of an estimate.
inline Estimate Exp(const Estimate& log) {
  return {std::exp(log.value), std::exp(log.value) * log.error};
}

// Sums of values and of their squares.
struct Moments {
  double sum = 0, squares = 0;
  void Add(double value) {
    sum += value;
    squares += value * value;
  }
  // Of n values.
  Estimate Mean(double n) const {
    const double mean = sum / n, variance = squares / n - mean * mean;
    return {mean, n > 1 && variance > 0 ? std::sqrt(variance / (n - 1)) : 0.0};
  }
};

}  // namespace quern
