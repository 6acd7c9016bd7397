#pragma once

#include <cstddef>
#include <span>

namespace quern {

// Keeps the surprise of the tokens that are drawn near a target (Basu et al. 2021): version 1 by an
// estimate of Zipf's exponent, version 2 by a bound on the surprise.
struct MirostatOptions {
  int version = 0;             // 0: off
  float target = 5.0f;         // tau, in bits
  float learning_rate = 0.1f;  // eta
};

class Mirostat {
 public:
  explicit Mirostat(const MirostatOptions& options)
      : options_(options), most_(2 * options.target) {}

  // How many of the best to draw from, at least one. probabilities: from the highest down.
  size_t Keep(std::span<const float> probabilities, size_t vocabulary) const;
  // The probability, among those that were kept, of the token that was drawn.
  void Observe(float probability);

 private:
  MirostatOptions options_;
  float most_;  // mu, the surprise that is let through
};

}  // namespace quern
