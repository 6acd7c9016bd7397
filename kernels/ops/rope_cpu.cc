#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"
#include "base/parallel.h"
#include "kernels/ops/rope.h"

namespace quern {
namespace {

// The pair whose wave turns `rotations` times over the original context (Peng et al. 2023, eq. 13
// solved for the pair).
double PairOfRotations(const RopeParams& params, double rotations) {
  const double context = static_cast<double>(params.original_context);
  return static_cast<double>(params.dims) *
         std::log(context / (rotations * 2.0 * std::numbers::pi)) / (2.0 * std::log(params.base));
}

}  // namespace

std::vector<double> RopeFrequencies(const RopeParams& params, std::span<const float> divisors) {
  const int64_t pairs = params.dims / 2;
  QUERN_CHECK(divisors.empty() || divisors.size() == static_cast<size_t>(pairs));
  double low = 0, high = 0;
  if (params.yarn) {
    low = std::max(0.0, std::floor(PairOfRotations(params, params.beta_fast)));
    high = std::min(static_cast<double>(params.dims - 1),
                    std::ceil(PairOfRotations(params, params.beta_slow)));
  }
  std::vector<double> frequencies(static_cast<size_t>(pairs));
  for (int64_t i = 0; i < pairs; ++i) {
    double plain =
        std::pow(params.base, -2.0 * static_cast<double>(i) / static_cast<double>(params.dims));
    if (!divisors.empty()) plain /= divisors[static_cast<size_t>(i)];
    const double interpolated = plain / params.factor;
    double keep = 0;
    if (params.yarn) {
      const double ramp = (static_cast<double>(i) - low) / std::max(0.001, high - low);
      keep = (1.0 - std::clamp(ramp, 0.0, 1.0)) * params.extrapolation;
    }
    frequencies[static_cast<size_t>(i)] = interpolated * (1.0 - keep) + plain * keep;
  }
  return frequencies;
}

double RopeMagnitude(const RopeParams& params) {
  const double temperature =
      params.yarn && params.factor > 1.0 ? 1.0 + 0.1 * std::log(params.factor) : 1.0;
  return temperature * params.attention_factor;
}

RopeTable::RopeTable(std::span<const double> frequencies, double magnitude,
                     std::span<const int64_t> positions)
    : pairs(static_cast<int64_t>(frequencies.size())),
      cosines(frequencies.size() * positions.size()),
      sines(cosines.size()) {
  ParallelFor(static_cast<int64_t>(positions.size()), 16, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      for (int64_t i = 0; i < pairs; ++i) {
        const auto at = static_cast<size_t>(p * pairs + i);
        const double angle = static_cast<double>(positions[static_cast<size_t>(p)]) *
                             frequencies[static_cast<size_t>(i)];
        cosines[at] = static_cast<float>(std::cos(angle) * magnitude);
        sines[at] = static_cast<float>(std::sin(angle) * magnitude);
      }
    }
  });
}

void Rope(const RopeTable& table, bool neighbours, int64_t tokens, int64_t heads, int64_t head_dim,
          float* x) {
  const int64_t pairs = table.pairs;
  QUERN_CHECK(2 * pairs <= head_dim);
  const int64_t step = neighbours ? 2 : 1, apart = neighbours ? 1 : pairs;
  ParallelFor(tokens, 16, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const float* cosines = table.cosines.data() + t * pairs;
      const float* sines = table.sines.data() + t * pairs;
      for (int64_t h = 0; h < heads; ++h) {
        float* head = x + (t * heads + h) * head_dim;
        for (int64_t i = 0; i < pairs; ++i) {
          float& a = head[i * step];
          float& b = head[i * step + apart];
          const float turned = a * cosines[i] - b * sines[i];
          b = a * sines[i] + b * cosines[i];
          a = turned;
        }
      }
    }
  });
}

}  // namespace quern
