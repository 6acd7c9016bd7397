#pragma once

#include <memory>
#include <span>

#include "adapters/merge_plan.h"

namespace quern {

// A base with adapters merged into it: W + sum of weight * scale * B A, and biases likewise, in
// float32, rounded once to the base's type (as PEFT's merge_and_unload does). A quantized tensor
// that an adapter changes comes out in f32.
class MergedSource : public TensorSource {
 public:
  // Plans and checks everything, and reads the adapters once, for NaN and the norms; nothing of the
  // base is read. Errors, naming the tensor: kBadInput where an adapter's tensor belongs to no
  // tensor of the base, has a wrong shape, lacks its other half or is not targeted by the config,
  // where a targeted module has no tensors, or a scale or everything is zero; kUnsupported for what
  // cannot be merged; kNonFinite.
  MergedSource(std::shared_ptr<const TensorSource> base, const BaseNames& names,
               std::span<const WeightedAdapter> adapters);

  const MergePlan& plan() const { return plan_; }
  const MergeReport& report() const { return plan_.report; }
  bool Changes(size_t index) const { return !plan_.tensors[index].steps.empty(); }

  void ReadRows(size_t index, int64_t first, int64_t count,
                std::span<std::byte> out) const override;

 private:
  MergedSource(std::shared_ptr<const TensorSource> base, MergePlan plan);
  void Merge(size_t index, int64_t first, int64_t count, std::span<std::byte> out) const;

  std::shared_ptr<const TensorSource> base_;
  MergePlan plan_;
};

}  // namespace quern
