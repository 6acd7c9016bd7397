#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "adapters/base_names.h"
#include "adapters/edit.h"
#include "adapters/lora_adapter.h"
#include "gguf/tensor_source.h"

namespace quern {

// An adapter and how much of it is merged.
struct WeightedAdapter {
  std::shared_ptr<const LoraAdapter> adapter;
  double weight = 1;
};

// What one adapter does to one tensor of the base.
struct MergeDelta {
  std::string adapter;  // its file
  std::string tensor;   // of the base, by its HF name
  int64_t rank = 0;     // 0: a vector that is added to a bias
  double scale = 1;     // alpha / r or alpha / sqrt(r), times the adapter's weight
  double norm = 0;      // Frobenius norm of what is added
};

struct MergeReport {
  std::vector<MergeDelta> deltas;
  double total_norm = 0;           // of all deltas together
  std::vector<std::string> notes;  // what the user should know
};

// One tensor of the merged model.
struct MergedTensor {
  TensorInfo info;
  size_t origin = 0;  // the base's tensor that it begins as
  Type precision = Type::kF32;
  std::vector<std::shared_ptr<const Edit>> edits;
};

struct MergePlan {
  std::vector<MergedTensor> tensors;
  MergeReport report;
};

// What MergedSource does, and all its checks; see there.
MergePlan PlanMerge(const TensorSource& base, const BaseNames& names,
                    std::span<const WeightedAdapter> adapters);

}  // namespace quern
