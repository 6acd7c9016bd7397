#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/eval/imatrix_collector.h"

namespace quern {

// What llama-imatrix --show-statistics tells of a tensor's mean squared inputs, by column.
struct ImatrixStatistics {
  std::string name;  // of the tensor
  std::string role;  // "attn_q" of "blk.3.attn_q.weight"
  int64_t layer = -1;
  int64_t values = 0;
  double sum = 0, least = 0, most = 0, mean = 0, deviation = 0;
  double active = 0;                 // share of the values above 1e-5
  double entropy = 0;                // bits, of the values as a distribution
  double entropy_share = 0;          // of what equal values would have
  double outliers = 0;               // share of the values more than one deviation above the mean
  std::optional<double> similarity;  // cosine, to the same tensor of the layer before
};

// Of each tensor that was measured, by role, the largest sum first.
std::vector<ImatrixStatistics> StatisticsOf(const ImatrixCollector& collector);

// Means over a layer's tensors, weighted by their values.
struct ImatrixLayer {
  int64_t layer = 0;
  double sum = 0, outliers = 0, similarity = 0;
};
std::vector<ImatrixLayer> LayersOf(const std::vector<ImatrixStatistics>& statistics);

}  // namespace quern
