#pragma once

#include <memory>
#include <vector>

#include "adapters/low_rank_delta.h"
#include "adapters/merge_plan.h"
#include "gguf/metadata.h"
#include "model/arch/arch.h"

namespace quern {

// The tensors of an adapter's GGUF file (see gguf_adapter.h), of an adapter planned onto its base.
// The file has one alpha for all: where a module's scale differs from alpha / rank, its B takes the
// rest up.
class GgufAdapterSource : public TensorSource {
 public:
  // `plan` has one adapter, and its tensors' rows are in GGUF's order; it must outlive the source.
  // type: of the tensors, f32, f16 or bf16. Error kUnsupported, naming the tensor, for what such a
  // file cannot hold: whatever is no low-rank product, and either end of a model whose output is
  // tied to its embeddings.
  GgufAdapterSource(std::string name, const MergePlan& plan, const Arch& arch, Type type);

  double alpha() const { return alpha_; }
  // The keys of the file; `base`: those of the model.
  Metadata Keys(const Metadata& base, const std::string& title) const;

  void ReadRows(size_t index, int64_t first, int64_t count,
                std::span<std::byte> out) const override;

 private:
  struct Module {
    const LowRankDelta* delta;
    double b_factor;
    bool embeds;
    int64_t rows, rank, cols;  // of the weight and the product
    std::string weight;        // as GGUF names it
  };
  struct Parts {
    std::vector<Module> modules;
    double alpha;
  };
  GgufAdapterSource(std::string name, Parts parts, const Arch& arch, Type type);
  static Parts PartsOf(const std::string& name, const MergePlan& plan, const Arch& arch);
  static std::vector<TensorInfo> InfosOf(const std::vector<Module>& modules, Type type);

  std::vector<Module> modules_;  // two tensors each: lora_a, lora_b
  double alpha_;
  const Arch& arch_;
  mutable FactorCache cache_;
};

}  // namespace quern
