#include "adapters/combine_tensors.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace quern {
namespace {

using Floats = std::vector<float>;

// Keeps the share `density` of the elements, the largest by magnitude.
void DropSmall(Floats& values, double density) {
  const auto keep = static_cast<size_t>(density * static_cast<double>(values.size()));
  if (keep == values.size()) return;
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::nth_element(order.begin(), order.begin() + static_cast<int64_t>(keep), order.end(),
                   [&](size_t a, size_t b) {
                     const float x = std::fabs(values[a]), y = std::fabs(values[b]);
                     return x != y ? x > y : a < b;
                   });
  for (size_t i = keep; i < order.size(); ++i) values[order[i]] = 0;
}

// Drops elements at random and makes up for them.
void DropRandom(Floats& values, double density, RandomShares& random) {
  for (float& value : values) {
    value = random.Next() < density ? static_cast<float>(value / density) : 0;
  }
}

Floats Sum(const std::vector<Floats>& tensors, const std::vector<double>& weights) {
  Floats sum(tensors[0].size());
  for (size_t t = 0; t < tensors.size(); ++t) {
    const auto weight = static_cast<float>(weights[t]);
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += weight * tensors[t][i];
  }
  return sum;
}

Floats SumElected(const std::vector<Floats>& tensors, const std::vector<double>& weights,
                  bool by_frequency) {
  Floats out(tensors[0].size());
  for (size_t i = 0; i < out.size(); ++i) {
    const auto sign = [](float value) { return static_cast<float>((value > 0) - (value < 0)); };
    float votes = 0, sum = 0;
    for (const Floats& tensor : tensors) votes += by_frequency ? sign(tensor[i]) : tensor[i];
    const float elected = votes >= 0 ? 1 : -1;
    int count = 0;
    for (size_t t = 0; t < tensors.size(); ++t) {
      if (sign(tensors[t][i]) != elected) continue;
      sum += static_cast<float>(weights[t]) * tensors[t][i];
      ++count;
    }
    out[i] = sum / static_cast<float>(std::max(count, 1));
  }
  return out;
}

}  // namespace

double RandomShares::Next() {
  uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

Floats TensorSum::Of(std::vector<Floats> tensors, const std::vector<double>& weights,
                     RandomShares& random) const {
  for (Floats& tensor : tensors) {
    if (dropped == Dropped::kSmall) DropSmall(tensor, density);
    if (dropped == Dropped::kRandom) DropRandom(tensor, density, random);
  }
  return elects ? SumElected(tensors, weights, by_frequency) : Sum(tensors, weights);
}

}  // namespace quern
