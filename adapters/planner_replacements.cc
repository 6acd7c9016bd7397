#include <algorithm>
#include <numeric>

#include "adapters/float_rows.h"
#include "adapters/planner.h"
#include "adapters/row_edits.h"
#include "adapters/vector_edits.h"
#include "base/error.h"
#include "kernels/codec.h"

namespace quern {
namespace {

// Whether two tensors of an adapter hold the same weights.
bool Same(const LoraAdapter& adapter, size_t one, size_t two) {
  const TensorInfo& info = adapter.tensor(one);
  if (info.shape != adapter.tensor(two).shape) return false;
  const int64_t step = RowsAtATime(info.cols());
  for (int64_t first = 0; first < info.rows(); first += step) {
    const int64_t count = std::min(step, info.rows() - first);
    std::vector<float> a(static_cast<size_t>(count * info.cols())), b(a.size());
    adapter.ReadRows(one, first, count, a);
    adapter.ReadRows(two, first, count, b);
    if (a != b) return false;
  }
  return true;
}

// The values as a tensor of this type holds them.
void Round(Type type, int64_t cols, std::vector<float>& values) {
  const auto count = static_cast<int64_t>(values.size());
  std::vector<std::byte> raw(static_cast<size_t>(count / cols * RowBytes(type, cols)));
  EncodeRows(type, values.data(), count / cols, cols, {}, raw.data());
  Decode(type, raw.data(), count, values.data());
}

}  // namespace

// Gives the place of the base's weights to a tensor of the adapter.
void Planner::Replace(const Job& job, size_t target, size_t part, const char* kind,
                      std::shared_ptr<const Edit> edit) {
  const MergedTensor& tensor = plan_.tensors[target];
  const std::string& name = job.adapter().tensor(part).name;
  if (job.weighted.weight != 1) {
    Fail(ErrorKind::kUsage, "{}: a weight of {} is given, but tensor '{}' replaces the base's",
         job.name(), job.weighted.weight, name);
  }
  if (!tensor.steps.empty()) {
    Fail(ErrorKind::kUnsupported,
         "{}: tensor '{}' would replace '{}', which another tensor or adapter changes too",
         job.name(), name, tensor.place.hf_name);
  }
  AddStep(job, target, std::move(edit), {.adapter = {}, .tensor = {}, .kind = kind});
}

// Whether what is trained of the embeddings goes for the output too, which is tied to them.
bool Planner::KeepsTied(const Job& job) const {
  return job.adapter().config().ensure_weight_tying && IsTied();
}

// An output that was saved although it is tied must be what its embeddings are.
void Planner::CheckTiedCopy(Job& job, const AdapterModule& output) const {
  const LoraAdapter& adapter = job.adapter();
  std::optional<size_t> embeddings;
  for (const AdapterModule& module : adapter.modules()) {
    if (module.name + ".weight" != kEmbeddingsHfName) continue;
    embeddings = module[AdapterPart::kWeight] ? module[AdapterPart::kWeight]
                                              : module[AdapterPart::kSavedWeight];
  }
  for (const AdapterPart kind : {AdapterPart::kWeight, AdapterPart::kSavedWeight}) {
    const auto part = output[kind];
    if (!part) continue;
    if (!embeddings || !Same(adapter, *part, *embeddings)) {
      Fail(ErrorKind::kUnsupported,
           "{}: 'ensure_weight_tying' is set, but tensor '{}' is not what the embeddings are",
           adapter.config().name, adapter.tensor(*part).name);
    }
    job.used[*part] = true;
  }
  if (const auto original = output[AdapterPart::kOriginalWeight]) job.used[*original] = true;
}

// Modules that were trained as a whole, and embeddings that were saved because they were resized.
void Planner::AddSaved(Job& job, const AdapterModule& module) {
  const LoraAdapter& adapter = job.adapter();
  const std::string weight = module.name + ".weight";
  if (!adapter.rules().Saves(module.name) && weight != kEmbeddingsHfName &&
      weight != kOutputHfName) {
    return;
  }
  if (weight == kOutputHfName && KeepsTied(job)) return CheckTiedCopy(job, module);
  struct Slot {
    AdapterPart plain, saved, original;
    const char* ending;
  };
  constexpr Slot kSlots[] = {
      {AdapterPart::kWeight, AdapterPart::kSavedWeight, AdapterPart::kOriginalWeight, ".weight"},
      {AdapterPart::kBias, AdapterPart::kSavedBias, AdapterPart::kOriginalBias, ".bias"}};
  for (const Slot& slot : kSlots) {
    const auto plain = module[slot.plain], saved = module[slot.saved];
    if (!plain && !saved) continue;
    if (plain && saved && !Same(adapter, *plain, *saved)) {
      Fail(ErrorKind::kBadInput, "{}: tensors '{}' and '{}' should be equal, they differ",
           job.name(), adapter.tensor(*plain).name, adapter.tensor(*saved).name);
    }
    const size_t part = plain ? *plain : *saved;
    const size_t target = Target(job, module.name + slot.ending, part);
    // The output of a tied model keeps the base's embeddings.
    const bool of_embeddings = plan_.tensors[target].place.hf_name == kEmbeddingsHfName;
    if (of_embeddings && IsTied() && !KeepsTied(job)) UntiedOutput(job);
    AddSavedTensor(job, target, part);
    for (const auto index : {plain, saved, module[slot.original]}) {
      if (index) job.used[*index] = true;
    }
  }
}

void Planner::AddSavedTensor(Job& job, size_t target, size_t part) {
  const LoraAdapter& adapter = job.adapter();
  const TensorInfo& info = adapter.tensor(part);
  TensorInfo& base = plan_.tensors[target].info;
  const BaseTensor& place = plan_.tensors[target].place;
  const bool is_end = place.hf_name == kEmbeddingsHfName || place.hf_name == kOutputHfName;
  const bool matrices = info.shape.size() == 2 && base.shape.size() == 2;
  if (info.shape != base.shape && !(is_end && matrices && info.cols() == base.cols())) {
    Fail(ErrorKind::kBadInput, "{}: tensor '{}' is {}, the base's '{}' is {}", job.name(),
         info.name, ShapeText(info.shape), place.hf_name, ShapeText(base.shape));
  }
  if (info.rows() > base.rows()) {
    base.shape[1] = info.rows();
    plan_.report.vocab_adapter = job.name();
  } else if (info.rows() < base.rows()) {
    plan_.report.notes.push_back(
        fmt::format("{}: tensor '{}' has {} rows, the base {}: the base's last rows stay",
                    job.name(), info.name, info.rows(), base.rows()));
  }
  std::shared_ptr<const Edit> edit;
  if (matrices) {
    edit = std::make_shared<const ReplaceMatrix>(job.weighted.adapter, part, place);
  } else {
    edit = std::make_shared<const ReplaceVector>(ReadBias(job, part, target));
  }
  Replace(job, target, part, "module", std::move(edit));
}

// PEFT saves the weights below an adapted embedding or output beside the adapter: the base's own,
// unless the vocabulary grew.
void Planner::AddBaseLayer(Job& job, size_t target, size_t part) {
  const LoraAdapter& adapter = job.adapter();
  const TensorInfo& copy = adapter.tensor(part);
  const MergedTensor& tensor = plan_.tensors[target];
  job.used[part] = true;
  if (copy.shape != tensor.info.shape) {
    AddSavedTensor(job, target, part);
    return;
  }
  if (!tensor.steps.empty()) return;
  int64_t different = 0;
  const int64_t step = RowsAtATime(copy.cols());
  for (int64_t first = 0; first < copy.rows(); first += step) {
    const int64_t count = std::min(step, copy.rows() - first);
    std::vector<float> ours(static_cast<size_t>(count * copy.cols())), theirs(ours.size());
    ReadOrigin(base_, tensor, first, count, ours);
    ReplaceMatrix(job.weighted.adapter, part, tensor.place).Apply(first, count, theirs);
    Round(tensor.place.precision, copy.cols(), theirs);
    for (size_t i = 0; i < ours.size(); ++i) different += ours[i] != theirs[i];
  }
  if (different > 0) {
    plan_.report.notes.push_back(fmt::format(
        "{}: tensor '{}' differs from the base's '{}' in {} of {} weights; the base's are used",
        job.name(), copy.name, tensor.place.hf_name, different, copy.elements()));
  }
}

// The vector of an adapter that goes with the bias (or norm) `target`, in the base's order.
std::vector<float> Planner::ReadBias(const Job& job, size_t part, size_t target) const {
  const TensorInfo& vector = job.adapter().tensor(part);
  const MergedTensor& tensor = plan_.tensors[target];
  if (vector.shape.size() != 1 || vector.shape != tensor.info.shape) {
    Fail(ErrorKind::kBadInput, "{}: tensor '{}' is {}, the base's '{}' is {}", job.name(),
         vector.name, ShapeText(vector.shape), tensor.place.hf_name, ShapeText(tensor.info.shape));
  }
  return tensor.place.InBaseOrder(job.adapter().Read(part));
}

// Biases of the base that were trained (bias=lora_only and bias=all).
void Planner::AddTrainedBias(Job& job, const AdapterModule& module) {
  if (job.adapter().config().bias == BiasMode::kNone) return;
  for (const AdapterPart kind : {AdapterPart::kBaseBias, AdapterPart::kBias}) {
    const auto part = module[kind];
    if (!part || job.used[*part]) continue;
    const size_t target = Target(job, module.name + ".bias", *part);
    Replace(job, target, *part, "bias",
            std::make_shared<const ReplaceVector>(ReadBias(job, *part, target)));
    job.used[*part] = true;
  }
}

// Where the vocabulary was resized PEFT saves the tokens of a tied output too, though the config
// names the embeddings alone: the same tokens, which are done with those.
bool Planner::IsTiedTokens(Job& job, const AdapterModule& output) const {
  const LoraAdapter& adapter = job.adapter();
  if (output.name + ".weight" != kOutputHfName || !IsTied() ||
      adapter.rules().TrainedTokens(output.name)) {
    return false;
  }
  constexpr AdapterPart kParts[] = {AdapterPart::kTokens, AdapterPart::kTokensBase};
  for (const AdapterModule& module : adapter.modules()) {
    if (module.name + ".weight" != kEmbeddingsHfName) continue;
    const bool same = std::all_of(std::begin(kParts), std::end(kParts), [&](AdapterPart part) {
      if (!output[part] || !module[part]) return output[part] == module[part];
      return Same(adapter, *output[part], *module[part]);
    });
    if (!same) return false;
    for (const AdapterPart part : kParts) {
      if (output[part]) job.used[*output[part]] = true;
    }
    return true;
  }
  return false;
}

// Tokens whose embeddings were trained: the adapter has their rows, in spite of the tensor's name.
// A tied output changes with them, as PEFT ties it to the same rows.
void Planner::AddTokens(Job& job, const AdapterModule& module) {
  const LoraAdapter& adapter = job.adapter();
  const auto part = module[AdapterPart::kTokens];
  if (!part || IsTiedTokens(job, module)) return;
  const TensorInfo& info = adapter.tensor(*part);
  const std::vector<int64_t>* trained = adapter.rules().TrainedTokens(module.name);
  if (!trained) return;
  const std::vector<int64_t>& tokens = *trained;
  const size_t target = Target(job, module.name + ".weight", *part);
  const size_t steps = plan_.tensors[target].steps.size();
  if (const auto copy = module[AdapterPart::kTokensBase]) AddBaseLayer(job, target, *copy);
  const bool grown = plan_.tensors[target].steps.size() > steps;
  const TensorInfo& base = plan_.tensors[target].info;
  if (info.shape.size() != 2 || info.cols() != base.cols() || base.shape.size() != 2 ||
      info.rows() != static_cast<int64_t>(tokens.size())) {
    Fail(ErrorKind::kBadInput, "{}: tensor '{}' is {}, {} tokens of '{}' ({}) were trained",
         job.name(), info.name, ShapeText(info.shape), tokens.size(),
         plan_.tensors[target].place.hf_name, ShapeText(base.shape));
  }
  const std::vector<float> values = adapter.Read(*part);
  std::vector<size_t> order(tokens.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return tokens[a] < tokens[b]; });
  std::vector<int64_t> indices;
  std::vector<float> rows;
  for (const size_t i : order) {
    if (tokens[i] >= base.rows() || (!indices.empty() && indices.back() == tokens[i])) {
      Fail(ErrorKind::kBadInput, "{}: trainable_token_indices has {}{}, the base has {} tokens",
           adapter.config().name, tokens[i], tokens[i] < base.rows() ? " twice" : "", base.rows());
    }
    indices.push_back(tokens[i]);
    const auto from = values.begin() + static_cast<int64_t>(i) * info.cols();
    rows.insert(rows.end(), from, from + info.cols());
  }
  auto edit = std::make_shared<const ReplaceRows>(std::move(indices), std::move(rows));
  job.used[*part] = true;
  if (!grown) return Replace(job, target, *part, "tokens", std::move(edit));
  AddStep(job, target, std::move(edit), {.adapter = {}, .tensor = {}, .kind = "tokens"});
}

}  // namespace quern
