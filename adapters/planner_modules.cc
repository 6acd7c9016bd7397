#include <algorithm>
#include <cmath>

#include "adapters/dora_delta.h"
#include "adapters/float_rows.h"
#include "adapters/planner.h"
#include "adapters/vector_edits.h"
#include "base/error.h"
#include "base/parallel.h"

namespace quern {
namespace {

constexpr int64_t kParts = 64;

// Whether an adapter has a pair for the module of this weight.
bool HasPair(const LoraAdapter& adapter, const char* hf_weight, AdapterPart a) {
  return std::any_of(adapter.modules().begin(), adapter.modules().end(),
                     [&](const AdapterModule& module) {
                       return module.name + ".weight" == hf_weight && module[a];
                     });
}

[[noreturn]] void FailUntied(const LoraAdapter& adapter, size_t part) {
  Fail(ErrorKind::kUnsupported,
       "{}: 'ensure_weight_tying' is set, and tensor '{}' has no counterpart on the other side of "
       "the tied pair",
       adapter.config().name, adapter.tensor(part).name);
}

}  // namespace

void Planner::AddModule(Job& job, const AdapterModule& module) {
  // What replaces a tensor goes before what is added to it.
  AddSaved(job, module);
  AddTrainedBias(job, module);
  AddTokens(job, module);
  if (module[AdapterPart::kA] || module[AdapterPart::kB]) AddLinear(job, module);
  if (module[AdapterPart::kEmbeddingA] || module[AdapterPart::kEmbeddingB]) {
    AddEmbedding(job, module);
  }
}

void Planner::AddLinear(Job& job, const AdapterModule& module) {
  const LoraAdapter& adapter = job.adapter();
  const auto [a, b] = adapter.NeedPair(module, AdapterPart::kA, AdapterPart::kB);
  if (KeepsTied(job) && module.name + ".weight" == kOutputHfName &&
      !HasPair(adapter, kEmbeddingsHfName, AdapterPart::kEmbeddingA)) {
    FailUntied(adapter, b);
  }
  const size_t target = Target(job, module.name + ".weight", b);
  // Of a tied model PEFT changes the weight as the embeddings see it.
  if (plan_.tensors[target].place.hf_name == kEmbeddingsHfName && IsTied()) UntiedOutput(job);
  const Pair pair{.a = a, .b = b, .target = target, .transposed = adapter.config().fan_in_fan_out};
  AddPair(job, module, pair, /*of_embedding=*/false);
}

void Planner::AddEmbedding(Job& job, const AdapterModule& module) {
  const LoraAdapter& adapter = job.adapter();
  const auto [a, b] = adapter.NeedPair(module, AdapterPart::kEmbeddingA, AdapterPart::kEmbeddingB);
  const size_t target = Target(job, module.name + ".weight", b);
  // Run-time LoRA of a tied model changes what goes in, not what comes out: that is a pair of its
  // own, which an adapter that was trained tied (ensure_weight_tying) has beside this one.
  if (KeepsTied(job) && !HasPair(adapter, kOutputHfName, AdapterPart::kA)) FailUntied(adapter, b);
  if (plan_.tensors[target].place.hf_name == kEmbeddingsHfName && IsTied()) UntiedOutput(job);
  AddPair(job, module, {.a = a, .b = b, .target = target, .transposed = true},
          /*of_embedding=*/true);
}

void Planner::CheckPair(const Job& job, const Pair& pair) const {
  const LoraAdapter& adapter = job.adapter();
  const TensorInfo &a = adapter.tensor(pair.a), &b = adapter.tensor(pair.b);
  const TensorInfo& weight = plan_.tensors[pair.target].info;
  if (a.shape.size() != 2 || b.shape.size() != 2 || weight.shape.size() != 2) {
    Fail(ErrorKind::kUnsupported, "{}: tensor '{}' ({}) and its base ({}) should be matrices",
         job.name(), a.name, ShapeText(a.shape), ShapeText(weight.shape));
  }
  if (b.cols() != a.rows()) {
    Fail(ErrorKind::kBadInput, "{}: tensor '{}' has rank {}, '{}' beside it has rank {}",
         job.name(), a.name, a.rows(), b.name, b.cols());
  }
  const int64_t in = pair.transposed ? weight.rows() : weight.cols();
  const int64_t out = pair.transposed ? weight.cols() : weight.rows();
  const bool wrong_a = a.cols() != in;
  if (wrong_a || b.rows() != out) {
    Fail(ErrorKind::kBadInput,
         "{}: tensor '{}' has {} {}, the base's '{}' ({}) needs {}: is it an adapter of another "
         "model?",
         job.name(), wrong_a ? a.name : b.name, wrong_a ? a.cols() : b.rows(),
         wrong_a ? "columns" : "rows", plan_.tensors[pair.target].place.hf_name,
         ShapeText(weight.shape), wrong_a ? in : out);
  }
}

void Planner::AddPair(Job& job, const AdapterModule& module, const Pair& pair, bool of_embedding) {
  const LoraAdapter& adapter = job.adapter();
  if (!IsTargeted(job, module)) {
    Fail(ErrorKind::kBadInput, "{}: tensor '{}' belongs to a module that {} does not target",
         job.name(), adapter.tensor(pair.a).name, adapter.config().name);
  }
  if (const auto copy = module[AdapterPart::kBaseWeight]) AddBaseLayer(job, pair.target, *copy);
  CheckPair(job, pair);
  const int64_t rank = adapter.tensor(pair.a).rows();
  const double scale = ScaleOf(job, module, rank);
  const auto magnitude = module[AdapterPart::kMagnitude];
  if (magnitude.has_value() != adapter.config().dora) {
    Fail(ErrorKind::kBadInput, "{}: tensor '{}' {}", job.name(),
         adapter.tensor(magnitude.value_or(pair.a)).name,
         magnitude ? "is there though the config has no use_dora"
                   : "has no lora_magnitude_vector beside it, which use_dora wants");
  }
  const BaseTensor& place = plan_.tensors[pair.target].place;
  // PEFT rounds the delta of an embedding, unless it is DoRA's, and of a parameter to the base's
  // type before it adds it.
  const bool rounds = (of_embedding && !magnitude) || adapter.rules().TargetsWeight(module.name);
  const auto round_to = rounds ? std::optional(place.precision) : std::nullopt;
  auto delta = std::make_shared<const LowRankDelta>(
      LowRankDelta::Source{
          .adapter = job.weighted.adapter, .a = pair.a, .b = pair.b, .transposed = pair.transposed},
      place, scale, cache_, round_to);
  MergeDelta entry{.adapter = {}, .tensor = {}, .kind = "LoRA", .rank = rank, .scale = scale};
  job.used[pair.a] = job.used[pair.b] = true;
  if (!magnitude) {
    AddStep(job, pair.target, std::move(delta), std::move(entry));
  } else {
    entry.kind = "DoRA";
    if (pair.transposed && !of_embedding) {
      Fail(ErrorKind::kUnsupported, "{}: DoRA of transposed weights (fan_in_fan_out) is not known",
           adapter.config().name);
    }
    const TensorInfo& vector = adapter.tensor(*magnitude);
    const int64_t wanted = of_embedding ? plan_.tensors[pair.target].info.cols()
                                        : plan_.tensors[pair.target].info.rows();
    if (vector.elements() != wanted) {
      Fail(ErrorKind::kBadInput, "{}: tensor '{}' has {} magnitudes, '{}' needs {}", job.name(),
           vector.name, vector.elements(), place.hf_name, wanted);
    }
    std::vector<float> magnitudes = adapter.Read(*magnitude);
    std::shared_ptr<const Edit> edit;
    if (of_embedding) {
      edit = std::make_shared<const DoraColumns>(delta,
                                                 ColumnFactors(pair.target, *delta, magnitudes));
    } else {
      edit = std::make_shared<const DoraRows>(delta, place.InBaseOrder(magnitudes));
    }
    AddStep(job, pair.target, std::move(edit), std::move(entry));
    job.used[*magnitude] = true;
  }
  if (!of_embedding) AddLoraBias(job, module, pair.b, scale);
}

// What is trained of tied embeddings goes for the output too, and PEFT's config names them alone.
bool Planner::IsTargeted(const Job& job, const AdapterModule& module) const {
  const ModuleRules& rules = job.adapter().rules();
  if (rules.Targets(module.name)) return true;
  return job.adapter().config().ensure_weight_tying && module.name + ".weight" == kOutputHfName &&
         rules.Targets("model.embed_tokens");
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

void Planner::AddLoraBias(Job& job, const AdapterModule& module, size_t b, double scale) {
  const LoraAdapter& adapter = job.adapter();
  const auto bias = module[AdapterPart::kBBias];
  if (adapter.config().lora_bias != bias.has_value()) {
    Fail(ErrorKind::kBadInput, "{}: tensor '{}' {}", job.name(),
         adapter.tensor(bias.value_or(b)).name,
         bias ? "is there though the config has no lora_bias"
              : "has no lora_B.bias beside it, which lora_bias wants");
  }
  if (!bias) return;
  const size_t target = Target(job, module.name + ".bias", *bias);
  std::vector<float> values = ReadBias(job, *bias, target);
  for (float& value : values) value *= static_cast<float>(scale);
  AddStep(job, target, std::make_shared<const AddVector>(std::move(values)),
          {.adapter = {}, .tensor = {}, .kind = "bias", .scale = scale});
  job.used[*bias] = true;
}

// magnitude / norm of each column of the embeddings with the delta. The sums of a fixed number of
// parts are added in order, so that the result does not depend on the threads.
std::vector<float> Planner::ColumnFactors(size_t target, const LowRankDelta& delta,
                                          const std::vector<float>& magnitudes) const {
  const MergedTensor& tensor = plan_.tensors[target];
  const int64_t rows = tensor.info.rows(), cols = tensor.info.cols();
  const int64_t part_rows = (rows + kParts - 1) / kParts;
  const int64_t step = RowsAtATime(cols);
  std::vector<std::vector<double>> sums(kParts, std::vector<double>(static_cast<size_t>(cols)));
  ParallelFor(kParts, 1, [&](int64_t begin, int64_t end) {
    const int64_t last = std::min(end * part_rows, rows);
    for (int64_t first = begin * part_rows; first < last;) {
      const int64_t part = first / part_rows;
      const int64_t count = std::min({step, (part + 1) * part_rows - first, last - first});
      std::vector<float> values(static_cast<size_t>(count * cols));
      ReadOrigin(base_, tensor, first, count, values);
      for (const auto& earlier : tensor.steps) earlier.edit->Apply(first, count, values);
      delta.Apply(first, count, values);
      auto& sum = sums[static_cast<size_t>(part)];
      for (size_t i = 0; i < values.size(); ++i) {
        sum[i % sum.size()] += static_cast<double>(values[i]) * values[i];
      }
      first += count;
    }
  });
  std::vector<float> factors(magnitudes.size());
  for (size_t col = 0; col < factors.size(); ++col) {
    double square = 0;
    for (const auto& sum : sums) square += sum[col];
    factors[col] = magnitudes[col] / static_cast<float>(std::sqrt(square));
  }
  return factors;
}

}  // namespace quern
