#include "adapters/merge_plan.h"

#include <cmath>
#include <unordered_map>

#include "adapters/low_rank_delta.h"
#include "adapters/merge_norms.h"
#include "adapters/vector_delta.h"
#include "base/error.h"
#include "base/parallel.h"

namespace quern {
namespace {

// Plans one adapter after the other into a MergePlan.
class Planner {
 public:
  Planner(const TensorSource& base, const BaseNames& names);
  void Add(const WeightedAdapter& adapter);
  MergePlan Finish();

 private:
  // One adapter while it is planned.
  struct Job {
    const WeightedAdapter& weighted;
    std::vector<bool> used;
    const LoraAdapter& adapter() const { return *weighted.adapter; }
  };

  void AddModule(Job& job, const AdapterModule& module);
  void AddBias(Job& job, const AdapterModule& module, size_t tensor, double scale);
  // The base's tensor of this HF name; the adapter's tensor `part` asks for it.
  size_t Target(const Job& job, const std::string& hf_name, size_t part) const;
  double ScaleOf(const Job& job, const AdapterModule& module, int64_t rank);
  void CheckTargetsMet(const Job& job) const;

  const TensorSource& base_;
  const BaseNames& names_;
  std::unordered_map<std::string, size_t> by_hf_name_;
  std::shared_ptr<FactorCache> cache_;
  std::vector<PlannedDelta> deltas_;
  MergePlan plan_;
};

// Kinds of adapters whose merge is refused by name.
void RefuseKinds(const LoraAdapter& adapter) {
  const LoraConfig& config = adapter.config();
  const auto refuse = [&](const char* what) {
    Fail(ErrorKind::kUnsupported, "{}: {} cannot be merged yet", config.name, what);
  };
  if (config.dora) refuse("DoRA (use_dora)");
  if (config.bias != BiasMode::kNone) refuse("an adapter with trained biases (bias)");
  if (!config.modules_to_save.empty()) refuse("an adapter with whole modules (modules_to_save)");
  if (!config.target_parameters.empty()) refuse("an adapter of experts (target_parameters)");
  if (!config.trainable_tokens.empty()) {
    refuse("an adapter with trained tokens (trainable_token_indices)");
  }
  for (const AdapterModule& module : adapter.modules()) {
    if (module[AdapterPart::kEmbeddingA] || module[AdapterPart::kEmbeddingB]) {
      refuse("an adapter of the embeddings (lora_embedding_A)");
    }
    if (module[AdapterPart::kMagnitude]) refuse("DoRA (lora_magnitude_vector)");
  }
}

Planner::Planner(const TensorSource& base, const BaseNames& names)
    : base_(base),
      names_(names),
      // Each thread is at one tensor, and a tensor seldom has more than two adapters.
      cache_(std::make_shared<FactorCache>(static_cast<size_t>(2 * ThreadCount()))) {
  QUERN_CHECK(names.size() == base.tensors().size());
  for (size_t t = 0; t < names.size(); ++t) {
    plan_.tensors.push_back(
        {.info = base.tensors()[t], .origin = t, .precision = names[t].precision, .edits = {}});
    if (!names[t].hf_name.empty()) by_hf_name_[names[t].hf_name] = t;
  }
}

void Planner::Add(const WeightedAdapter& weighted) {
  const LoraAdapter& adapter = *weighted.adapter;
  RefuseKinds(adapter);
  if (weighted.weight == 0 || !std::isfinite(weighted.weight)) {
    Fail(ErrorKind::kUsage, "{}: a weight of {} merges nothing", adapter.name(), weighted.weight);
  }
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

size_t Planner::Target(const Job& job, const std::string& hf_name, size_t part) const {
  const auto found = by_hf_name_.find(hf_name);
  if (found != by_hf_name_.end()) return found->second;
  const std::string& tensor = job.adapter().tensor(part).name;
  if (hf_name == "lm_head.weight" && by_hf_name_.contains("model.embed_tokens.weight")) {
    Fail(ErrorKind::kUnsupported,
         "{}: tensor '{}' adapts the output, which is tied to the embeddings in {}: that cannot be "
         "merged yet",
         job.adapter().name(), tensor, base_.name());
  }
  Fail(ErrorKind::kBadInput, "{}: tensor '{}' belongs to '{}', which {} has not",
       job.adapter().name(), tensor, hf_name, base_.name());
}

double Planner::ScaleOf(const Job& job, const AdapterModule& module, int64_t rank) {
  const LoraAdapter& adapter = job.adapter();
  const double own = adapter.rules().Scale(module.name, rank);
  const double scale = own * job.weighted.weight;
  if (own == 0 || !std::isfinite(static_cast<float>(scale)) || static_cast<float>(scale) == 0) {
    Fail(ErrorKind::kBadInput, "{}: the scale of '{}' is {}", adapter.config().name, module.name,
         scale);
  }
  const double said = adapter.rules().Rank(module.name);
  if (said != static_cast<double>(rank)) {
    plan_.report.notes.push_back(fmt::format("{}: '{}' has rank {}, the config says {}",
                                             adapter.name(), module.name, rank, said));
  }
  return scale;
}

void Planner::AddModule(Job& job, const AdapterModule& module) {
  const LoraAdapter& adapter = job.adapter();
  const auto a = module[AdapterPart::kA], b = module[AdapterPart::kB];
  if (!a && !b) return;
  if (!a || !b) {
    Fail(ErrorKind::kBadInput, "{}: tensor '{}' has no {} beside it", adapter.name(),
         adapter.tensor(a ? *a : *b).name, a ? "lora_B" : "lora_A");
  }
  const TensorInfo &a_info = adapter.tensor(*a), &b_info = adapter.tensor(*b);
  const size_t target = Target(job, module.name + ".weight", *b);
  const TensorInfo& weight = base_.tensors()[target];
  if (!adapter.rules().Targets(module.name)) {
    Fail(ErrorKind::kBadInput, "{}: tensor '{}' belongs to a module that {} does not target",
         adapter.name(), a_info.name, adapter.config().name);
  }
  if (a_info.shape.size() != 2 || b_info.shape.size() != 2 || weight.shape.size() != 2) {
    Fail(ErrorKind::kUnsupported, "{}: tensor '{}' ({}) and its base ({}) should be matrices",
         adapter.name(), a_info.name, ShapeText(a_info.shape), ShapeText(weight.shape));
  }
  const int64_t rank = a_info.rows();
  const bool turned = adapter.config().fan_in_fan_out;
  const int64_t in = turned ? weight.rows() : weight.cols();
  const int64_t out = turned ? weight.cols() : weight.rows();
  if (rank < 1 || b_info.cols() != rank) {
    Fail(ErrorKind::kBadInput, "{}: tensor '{}' has rank {}, '{}' beside it has rank {}",
         adapter.name(), a_info.name, rank, b_info.name, b_info.cols());
  }
  if (a_info.cols() != in || b_info.rows() != out) {
    const bool wrong_a = a_info.cols() != in;
    Fail(ErrorKind::kBadInput,
         "{}: tensor '{}' has {} {}, the base's '{}' ({}) needs {}: is it an adapter of another "
         "model?",
         adapter.name(), wrong_a ? a_info.name : b_info.name,
         wrong_a ? a_info.cols() : b_info.rows(), wrong_a ? "columns" : "rows",
         names_[target].hf_name, ShapeText(weight.shape), wrong_a ? in : out);
  }
  const double scale = ScaleOf(job, module, rank);
  auto delta = std::make_shared<const LowRankDelta>(
      LowRankDelta::Source{.adapter = job.weighted.adapter, .a = *a, .b = *b, .transposed = turned},
      names_[target], scale, cache_);
  deltas_.push_back({target, plan_.report.deltas.size(), delta});
  plan_.report.deltas.push_back(
      {.adapter = adapter.name(), .tensor = names_[target].hf_name, .rank = rank, .scale = scale});
  plan_.tensors[target].edits.push_back(delta);
  job.used[*a] = job.used[*b] = true;
  AddBias(job, module, *b, scale);
}

void Planner::AddBias(Job& job, const AdapterModule& module, size_t b, double scale) {
  const LoraAdapter& adapter = job.adapter();
  const auto bias = module[AdapterPart::kBBias];
  if (adapter.config().lora_bias != bias.has_value()) {
    Fail(ErrorKind::kBadInput, "{}: tensor '{}' {}", adapter.name(),
         adapter.tensor(bias.value_or(b)).name,
         bias ? "is there though the config has no lora_bias"
              : "has no lora_B.bias beside it, which lora_bias wants");
  }
  if (!bias) return;
  const size_t target = Target(job, module.name + ".bias", *bias);
  const TensorInfo &vector = adapter.tensor(*bias), &base = base_.tensors()[target];
  if (vector.shape != base.shape || vector.shape.size() != 1) {
    Fail(ErrorKind::kBadInput, "{}: tensor '{}' is {}, the base's '{}' is {}", adapter.name(),
         vector.name, ShapeText(vector.shape), names_[target].hf_name, ShapeText(base.shape));
  }
  const std::vector<float> values = adapter.Read(*bias);
  std::vector<float> added(values.size());
  double square = 0;
  const auto rows = static_cast<int64_t>(values.size());
  for (int64_t row = 0; row < rows; ++row) {
    const float value =
        values[static_cast<size_t>(names_[target].HfRow(row))] * static_cast<float>(scale);
    added[static_cast<size_t>(row)] = value;
    square += static_cast<double>(value) * value;
  }
  plan_.report.deltas.push_back({.adapter = adapter.name(),
                                 .tensor = names_[target].hf_name,
                                 .rank = 0,
                                 .scale = scale,
                                 .norm = std::sqrt(square)});
  plan_.tensors[target].edits.push_back(std::make_shared<const VectorDelta>(std::move(added)));
  job.used[*bias] = true;
}

void Planner::CheckTargetsMet(const Job& job) const {
  const LoraAdapter& adapter = job.adapter();
  if (!adapter.config().target_modules.said) return;
  std::unordered_map<std::string, const AdapterModule*> modules;
  for (const AdapterModule& module : adapter.modules()) modules[module.name] = &module;
  for (size_t t = 0; t < names_.size(); ++t) {
    std::string module = names_[t].hf_name;
    if (!module.ends_with(".weight") || base_.tensors()[t].shape.size() != 2) continue;
    module.resize(module.size() - std::string_view(".weight").size());
    if (adapter.rules().Targets(module) && !modules.contains(module)) {
      Fail(ErrorKind::kBadInput, "{}: has no tensors for '{}', which {} targets", adapter.name(),
           module, adapter.config().name);
    }
  }
}

MergePlan Planner::Finish() {
  MeasureDeltas(deltas_, plan_.report);
  for (MergedTensor& tensor : plan_.tensors) {
    if (!tensor.edits.empty() && IsQuantized(tensor.info.type)) tensor.info.type = Type::kF32;
  }
  return std::move(plan_);
}

}  // namespace

MergePlan PlanMerge(const TensorSource& base, const BaseNames& names,
                    std::span<const WeightedAdapter> adapters) {
  Planner planner(base, names);
  for (const WeightedAdapter& adapter : adapters) planner.Add(adapter);
  return planner.Finish();
}

}  // namespace quern
