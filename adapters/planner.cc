#include "adapters/planner.h"

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "adapters/merge_norms.h"
#include "base/error.h"
#include "base/parallel.h"
#include "kernels/codec.h"

namespace quern {
namespace {

void CheckKind(const WeightedAdapter& weighted) {
  const LoraConfig& config = weighted.adapter->config();
  for (const std::string& name : config.target_parameters) {
    if (name.ends_with("weight")) continue;
    Fail(ErrorKind::kUnsupported,
         "{}: target_parameters has '{}', which is no module's weight: adapters of experts cannot "
         "be merged",
         config.name, name);
  }
  if (weighted.weight == 0 || !std::isfinite(weighted.weight)) {
    Fail(ErrorKind::kUsage, "{}: a weight of {} merges nothing", weighted.adapter->name(),
         weighted.weight);
  }
}

}  // namespace

Planner::Planner(const TensorSource& base, const BaseNames& names)
    : base_(base),
      names_(names),
      // Each thread is at one tensor, and a tensor seldom has more than two adapters.
      cache_(std::make_shared<FactorCache>(static_cast<size_t>(2 * ThreadCount()))) {
  QUERN_CHECK(names.size() == base.tensors().size());
  for (size_t t = 0; t < names.size(); ++t) {
    plan_.tensors.push_back(
        {.info = base.tensors()[t], .origin = t, .place = names[t], .steps = {}});
    if (!names[t].hf_name.empty()) by_hf_name_[names[t].hf_name] = t;
  }
}

void Planner::Add(const WeightedAdapter& weighted) {
  const LoraAdapter& adapter = *weighted.adapter;
  CheckKind(weighted);
  Job job{.weighted = weighted, .used = std::vector<bool>(adapter.tensors().tensors().size())};
  for (const AdapterModule& module : adapter.modules()) AddModule(job, module);
  for (size_t t = 0; t < job.used.size(); ++t) {
    if (!job.used[t]) {
      Fail(ErrorKind::kBadInput,
           "{}: tensor '{}' has no use in the merge that its config describes", adapter.name(),
           adapter.tensor(t).name);
    }
  }
  CheckTargetsMet(job);
  auto& notes = plan_.report.notes;
  notes.insert(notes.end(), adapter.config().notes.begin(), adapter.config().notes.end());
}

bool Planner::IsTied() const {
  return by_hf_name_.contains(kEmbeddingsHfName) && !by_hf_name_.contains(kOutputHfName);
}

// The merged tensor of this HF name; the adapter's tensor `part` asks for it.
size_t Planner::Target(const Job& job, const std::string& hf_name, size_t part) {
  const auto found = by_hf_name_.find(hf_name);
  if (found != by_hf_name_.end()) {
    const MergedTensor& tensor = plan_.tensors[found->second];
    if (!CanDecode(tensor.info.type) || !CanEncode(tensor.place.precision)) {
      Fail(ErrorKind::kUnsupported, "{}: tensor '{}' is {}, which cannot be merged into",
           base_.name(), tensor.info.name, NameOf(tensor.info.type));
    }
    return found->second;
  }
  if (hf_name == kOutputHfName && IsTied()) return UntiedOutput(job);
  Fail(ErrorKind::kBadInput, "{}: tensor '{}' belongs to '{}', which {} has not", job.name(),
       job.adapter().tensor(part).name, hf_name, base_.name());
}

// Gives the output a tensor of its own, which begins as the base's embeddings.
size_t Planner::UntiedOutput(const Job& job) {
  const MergedTensor& embeddings = plan_.tensors[by_hf_name_.at(kEmbeddingsHfName)];
  MergedTensor output{.info = base_.tensors()[embeddings.origin],
                      .origin = embeddings.origin,
                      .place = embeddings.place,
                      .steps = {}};
  output.info.name = names_.output_name;
  output.place.hf_name = kOutputHfName;
  plan_.tensors.push_back(std::move(output));
  by_hf_name_[kOutputHfName] = plan_.tensors.size() - 1;
  plan_.report.untied = true;
  plan_.report.notes.push_back(fmt::format(
      "{}: changes one side of the embeddings and the output, which are tied in {}: '{}' "
      "is written on its own",
      job.name(), base_.name(), names_.output_name));
  return plan_.tensors.size() - 1;
}

void Planner::AddStep(const Job& job, size_t target, std::shared_ptr<const Edit> edit,
                      MergeDelta delta) {
  MergedTensor& tensor = plan_.tensors[target];
  delta.adapter = job.name();
  delta.tensor = tensor.place.hf_name;
  tensor.steps.push_back({std::move(edit), plan_.report.deltas.size()});
  plan_.report.deltas.push_back(std::move(delta));
}

// Every module that the config names must have tensors.
void Planner::CheckTargetsMet(const Job& job) const {
  const LoraAdapter& adapter = job.adapter();
  std::unordered_set<std::string> modules;
  for (const AdapterModule& module : adapter.modules()) modules.insert(module.name);
  for (size_t t = 0; t < names_.size(); ++t) {
    std::string module = names_[t].hf_name;
    if (!module.ends_with(".weight")) continue;
    module.resize(module.size() - std::string_view(".weight").size());
    const bool is_target = adapter.config().target_modules.said &&
                           base_.tensors()[t].shape.size() == 2 && adapter.rules().Targets(module);
    const bool is_saved = adapter.rules().Saves(module);
    if ((is_target || is_saved) && !modules.contains(module)) {
      Fail(ErrorKind::kBadInput, "{}: has no tensors for '{}', which {} {}", adapter.name(), module,
           adapter.config().name, is_saved ? "saves" : "targets");
    }
  }
}

// Embeddings and output must have grown alike.
void Planner::CheckVocabulary() {
  const auto embeddings = by_hf_name_.find(kEmbeddingsHfName);
  if (embeddings == by_hf_name_.end()) return;
  const int64_t rows = plan_.tensors[embeddings->second].info.rows();
  const auto output = by_hf_name_.find(kOutputHfName);
  const int64_t others =
      output == by_hf_name_.end() ? rows : plan_.tensors[output->second].info.rows();
  if (rows != others) {
    Fail(ErrorKind::kBadInput,
         "{}: merged, the embeddings would have {} rows and the output {}: an adapter grows only "
         "one "
         "of them",
         base_.name(), rows, others);
  }
  const int64_t before = base_.tensors()[plan_.tensors[embeddings->second].origin].rows();
  if (rows > before) plan_.report.vocab = rows;
}

MergePlan Planner::Finish() {
  CheckVocabulary();
  for (MergedTensor& tensor : plan_.tensors) {
    if (!tensor.steps.empty() && IsQuantized(tensor.info.type)) tensor.info.type = Type::kF32;
  }
  MeasureMerge(base_, plan_);
  // Where the output stands in checkpoints that have one.
  if (plan_.report.untied) {
    std::rotate(plan_.tensors.begin(), plan_.tensors.end() - 1, plan_.tensors.end());
  }
  return std::move(plan_);
}

MergePlan PlanMerge(const TensorSource& base, const BaseNames& names,
                    std::span<const WeightedAdapter> adapters) {
  Planner planner(base, names);
  for (const WeightedAdapter& adapter : adapters) planner.Add(adapter);
  return planner.Finish();
}

void ReadOrigin(const TensorSource& base, const MergedTensor& tensor, int64_t first, int64_t count,
                std::span<float> out) {
  const TensorInfo& from = base.tensors()[tensor.origin];
  const int64_t there = std::clamp<int64_t>(from.rows() - first, 0, count);
  std::vector<std::byte> raw(static_cast<size_t>(there * from.row_bytes()));
  if (there > 0) {
    base.ReadRows(tensor.origin, first, there, raw);
    Decode(from.type, raw.data(), there * from.cols(), out.data());
  }
  std::fill(out.begin() + there * from.cols(), out.end(), 0.0f);
}

}  // namespace quern
