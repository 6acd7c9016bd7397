#include "model/sampling/mirostat.h"

#include <algorithm>
#include <cmath>

namespace quern {
namespace {

// Ranks that the exponent is estimated from, as the paper has it.
constexpr size_t kRanks = 100;

// The exponent s of probability ~ rank^-s: least squares over the logarithms of neighbours' ratios
// (eq. 6).
float Exponent(std::span<const float> probabilities) {
  float products = 0, squares = 0;
  for (size_t i = 0; i + 1 < std::min(kRanks, probabilities.size()); ++i) {
    const float ranks = std::log(static_cast<float>(i + 2) / static_cast<float>(i + 1));
    products += ranks * std::log(probabilities[i] / probabilities[i + 1]);
    squares += ranks * ranks;
  }
  return products / squares;
}

}  // namespace

size_t Mirostat::Keep(std::span<const float> probabilities, size_t vocabulary) const {
  if (options_.version == 2) {
    const auto last = std::find_if(probabilities.begin(), probabilities.end(),
                                   [&](float p) { return -std::log2(p) > most_; });
    return std::max<size_t>(1, static_cast<size_t>(last - probabilities.begin()));
  }
  const float s = Exponent(probabilities), above = s - 1;
  const float k = std::pow(
      (above * std::exp2(most_)) / (1 - std::pow(static_cast<float>(vocabulary), -above)), 1 / s);
  // One candidate has no exponent, and banned tokens make it infinite.
  if (!(k >= 1)) return 1;
  return static_cast<size_t>(std::min(k, static_cast<float>(probabilities.size())));
}

void Mirostat::Observe(float probability) {
  most_ -= options_.learning_rate * (-std::log2(probability) - options_.target);
}

}  // namespace quern
