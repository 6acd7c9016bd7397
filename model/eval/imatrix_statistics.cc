#include "model/eval/imatrix_statistics.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <numeric>

namespace quern {
namespace {

constexpr double kActive = 1e-5;
constexpr std::string_view kLayer = "blk.", kWeight = ".weight";

// Splits "blk.3.attn_q.weight" into its layer and role.
void Name(const std::string& name, ImatrixStatistics& out) {
  std::string_view rest = name;
  out.name = name;
  if (rest.starts_with(kLayer)) {
    const char* const begin = rest.data() + kLayer.size();
    const auto [end, error] = std::from_chars(begin, rest.data() + rest.size(), out.layer);
    if (error == std::errc() && end != rest.data() + rest.size() && *end == '.' && out.layer >= 0) {
      rest.remove_prefix(static_cast<size_t>(end - rest.data()) + 1);
    } else {
      out.layer = -1;
    }
  }
  if (rest.ends_with(kWeight)) rest.remove_suffix(kWeight.size());
  out.role = rest;
}

// The mean squares of the experts that any token chose.
std::vector<double> MeansOf(const ImatrixCollector::Entry& entry) {
  std::vector<double> means;
  for (size_t i = 0; i < entry.sums.size(); ++i) {
    const int64_t count = entry.tokens[i / entry.cols()];
    if (count > 0) means.push_back(entry.sums[i] / static_cast<double>(count));
  }
  return means;
}

void Measure(const std::vector<double>& means, ImatrixStatistics& out) {
  const auto n = static_cast<double>(means.size());
  out.values = std::ssize(means);
  out.sum = std::accumulate(means.begin(), means.end(), 0.0);
  out.mean = out.sum / n;
  const auto [least, most] = std::minmax_element(means.begin(), means.end());
  out.least = *least;
  out.most = *most;
  double squares = 0;
  int64_t active = 0, outliers = 0;
  for (const double value : means) {
    squares += (value - out.mean) * (value - out.mean);
    if (std::abs(value) > kActive) ++active;
    if (const double p = value / out.sum; out.sum > 0 && p > 0) out.entropy -= p * std::log2(p);
  }
  out.deviation = std::sqrt(squares / n);
  for (const double value : means) {
    if (out.deviation > 0 && value > out.mean + out.deviation) ++outliers;
  }
  out.active = static_cast<double>(active) / n;
  out.outliers = static_cast<double>(outliers) / n;
  out.entropy_share = n > 1 ? out.entropy / std::log2(n) : 0;
}

double Cosine(const std::vector<double>& a, const std::vector<double>& b) {
  const auto dot = [](const auto& x, const auto& y) {
    return std::inner_product(x.begin(), x.end(), y.begin(), 0.0);
  };
  const double norms = std::sqrt(dot(a, a)) * std::sqrt(dot(b, b));
  return norms > 0 ? dot(a, b) / norms : 0;
}

}  // namespace

std::vector<ImatrixStatistics> StatisticsOf(const ImatrixCollector& collector) {
  std::vector<ImatrixStatistics> all;
  for (const auto& [name, entry] : collector.entries()) {
    const std::vector<double> means = MeansOf(entry);
    if (means.empty()) continue;
    ImatrixStatistics& one = all.emplace_back();
    Name(name, one);
    Measure(means, one);
    if (one.layer < 1) continue;
    const auto before =
        collector.entries().find(std::string(kLayer) + std::to_string(one.layer - 1) +
                                 name.substr(kLayer.size() + std::to_string(one.layer).size()));
    if (before != collector.entries().end() && before->second.sums.size() == entry.sums.size()) {
      one.similarity = Cosine(entry.sums, before->second.sums);
    }
  }
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
    return a.role != b.role ? a.role < b.role : a.sum > b.sum;
  });
  return all;
}

std::vector<ImatrixLayer> LayersOf(const std::vector<ImatrixStatistics>& statistics) {
  std::map<int64_t, ImatrixLayer> layers;
  std::map<int64_t, double> weights;
  for (const ImatrixStatistics& one : statistics) {
    if (one.layer < 0) continue;
    const auto weight = static_cast<double>(one.values);
    ImatrixLayer& layer = layers[one.layer];
    layer.layer = one.layer;
    layer.sum += weight * one.sum;
    layer.outliers += weight * one.outliers;
    layer.similarity += weight * one.similarity.value_or(0);
    weights[one.layer] += weight;
  }
  std::vector<ImatrixLayer> result;
  for (auto& [index, layer] : layers) {
    for (double* figure : {&layer.sum, &layer.outliers, &layer.similarity}) {
      *figure /= weights[index];
    }
    result.push_back(layer);
  }
  return result;
}

}  // namespace quern
