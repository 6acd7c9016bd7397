#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "adapters/low_rank_delta.h"
#include "adapters/merge_plan.h"

namespace quern {

// Plans one adapter after the other into a MergePlan, and checks that every tensor of an adapter
// has its use.
class Planner {
 public:
  Planner(const TensorSource& base, const BaseNames& names);
  void Add(const WeightedAdapter& adapter);
  // Checks what can only be checked at the end, and measures.
  MergePlan Finish();

 private:
  // One adapter while it is planned.
  struct Job {
    const WeightedAdapter& weighted;
    std::vector<bool> used;  // its tensors
    const LoraAdapter& adapter() const { return *weighted.adapter; }
    const std::string& name() const { return weighted.adapter->name(); }
  };
  // A and B of a module, where they go, and how.
  struct Pair {
    size_t a, b;  // tensors of the adapter: [rank, in] and [out, rank]
    size_t target;
    bool transposed;
  };

  // planner.cc
  size_t Target(const Job& job, const std::string& hf_name, size_t part);
  size_t UntiedOutput(const Job& job);
  bool IsTied() const;
  void AddStep(const Job& job, size_t target, std::shared_ptr<const Edit> edit, MergeDelta delta);
  void CheckTargetsMet(const Job& job) const;
  void CheckVocabulary();

  // planner_modules.cc: what is added to the base's weights
  void AddModule(Job& job, const AdapterModule& module);
  void AddLinear(Job& job, const AdapterModule& module);
  void AddEmbedding(Job& job, const AdapterModule& module);
  void AddPair(Job& job, const AdapterModule& module, const Pair& pair, bool of_embedding);
  void CheckPair(const Job& job, const Pair& pair) const;
  bool IsTargeted(const Job& job, const AdapterModule& module) const;
  void AddLoraBias(Job& job, const AdapterModule& module, size_t b, double scale);
  double ScaleOf(const Job& job, const AdapterModule& module, int64_t rank);
  std::vector<float> ColumnFactors(size_t target, const LowRankDelta& delta,
                                   const std::vector<float>& magnitudes) const;

  // planner_replacements.cc: what takes the place of the base's weights
  void AddSaved(Job& job, const AdapterModule& module);
  void AddSavedTensor(Job& job, size_t target, size_t part);
  bool KeepsTied(const Job& job) const;
  void CheckTiedCopy(Job& job, const AdapterModule& output) const;
  void AddBaseLayer(Job& job, size_t target, size_t part);
  void AddTrainedBias(Job& job, const AdapterModule& module);
  bool IsTiedTokens(Job& job, const AdapterModule& output) const;
  void AddTokens(Job& job, const AdapterModule& module);
  void Replace(const Job& job, size_t target, size_t part, const char* kind,
               std::shared_ptr<const Edit> edit);
  std::vector<float> ReadBias(const Job& job, size_t part, size_t target) const;

  const TensorSource& base_;
  const BaseNames& names_;
  std::unordered_map<std::string, size_t> by_hf_name_;
  std::shared_ptr<FactorCache> cache_;
  MergePlan plan_;
};

}  // namespace quern
