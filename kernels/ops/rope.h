#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace quern {

// How positions turn into angles. The pair i of a head turns by position * frequencies[i].
struct RopeParams {
  int64_t dims = 0;  // elements of a head that are turned, even
  double base = 10000.0;
  double factor = 1.0;  // positions are divided by it: linear scaling, and YaRN's interpolation
  bool yarn = false;    // mix interpolated and plain angles by frequency (Peng et al. 2023)
  double extrapolation = 1.0;  // YaRN: how much of the plain angles the fast pairs keep
  double attention_factor = 1.0;
  double beta_fast = 32.0, beta_slow = 1.0;
  int64_t original_context = 0;  // YaRN: the context before scaling
};

// Radians per position of each of the dims / 2 pairs. divisors: of the file's rope_freqs, dims / 2
// of them, or none.
std::vector<double> RopeFrequencies(const RopeParams& params, std::span<const float> divisors);
// What cosine and sine are multiplied with (YaRN's attention temperature, otherwise the factor).
double RopeMagnitude(const RopeParams& params);

// Cosines and sines of a batch's positions, shared by all layers.
struct RopeTable {
  RopeTable(std::span<const double> frequencies, double magnitude,
            std::span<const int64_t> positions);
  int64_t pairs;
  std::vector<float> cosines, sines;  // [positions, pairs]
};

// Turns x[tokens, heads, head_dim] in place. A pair is two neighbours (2i, 2i+1), or else
// (i, i + dims / 2); elements from dims on stay.
void Rope(const RopeTable& table, bool neighbours, int64_t tokens, int64_t heads, int64_t head_dim,
          float* x);

}  // namespace quern
