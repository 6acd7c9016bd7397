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

class LowRankDelta;

// An adapter and how much of it is merged.
struct WeightedAdapter {
  std::shared_ptr<const LoraAdapter> adapter;
  double weight = 1;
};

// What one adapter does to one tensor of the base.
struct MergeDelta {
  std::string adapter;  // its file
  std::string tensor;   // of the base, by its HF name
  std::string kind;     // "LoRA", "DoRA", "bias", "module", "tokens"
  int64_t rank = 0;     // of LoRA and DoRA
  double scale = 1;     // alpha / r or alpha / sqrt(r), times the adapter's weight
  double norm = 0;      // Frobenius norm of the difference that it makes
};

struct MergeReport {
  std::vector<MergeDelta> deltas;
  double total_norm = 0;           // of all differences together
  std::vector<std::string> notes;  // what the user should know
  bool untied = false;             // the output, tied to the embeddings in the base, stands alone
  int64_t vocab = 0;               // rows of embeddings that an adapter has made longer, or 0
  std::string vocab_adapter;       // which adapter that was
};

// One tensor of the merged model.
struct MergedTensor {
  struct Step {
    std::shared_ptr<const Edit> edit;
    size_t report;  // its entry among the deltas
  };
  TensorInfo info;
  size_t origin = 0;  // the base's tensor that it begins as; rows beyond it begin as zeros
  BaseTensor place;
  std::vector<Step> steps;
};

struct MergePlan {
  std::vector<MergedTensor> tensors;
  MergeReport report;
};

// What MergedSource does, and all its checks; see there.
MergePlan PlanMerge(const TensorSource& base, const BaseNames& names,
                    std::span<const WeightedAdapter> adapters);

// The steps of a tensor that no step changes otherwise than by adding a low-rank product; none
// where one does.
std::vector<const LowRankDelta*> LowRankSteps(const MergedTensor& tensor);

// Rows of a merged tensor before any step, out[count, cols].
void ReadOrigin(const TensorSource& base, const MergedTensor& tensor, int64_t first, int64_t count,
                std::span<float> out);

}  // namespace quern
