#include "adapters/gguf_adapter_source.h"

#include <algorithm>

#include "adapters/gguf_adapter.h"
#include "base/error.h"
#include "base/parallel.h"
#include "gguf/keys.h"
#include "kernels/codec.h"

namespace quern {
namespace {

void RefuseOthers(const std::string& name, const MergePlan& plan, const MergedTensor& tensor) {
  if (LowRankSteps(tensor).empty()) {
    const MergeDelta& delta = plan.report.deltas[tensor.steps.front().report];
    Fail(ErrorKind::kUnsupported,
         "{}: changes '{}' by more than A and B ({}), which an adapter's GGUF file cannot hold: "
         "merge it instead",
         name, tensor.place.hf_name, delta.kind);
  }
  if (plan.report.untied) {
    Fail(ErrorKind::kUnsupported,
         "{}: changes '{}' of a model whose output is tied to its embeddings, which llama.cpp "
         "cannot apply at run time: merge it instead",
         name, tensor.place.hf_name);
  }
}

}  // namespace

GgufAdapterSource::GgufAdapterSource(std::string name, const MergePlan& plan, const Arch& arch,
                                     Type type)
    : GgufAdapterSource(name, PartsOf(name, plan, arch), arch, type) {}

GgufAdapterSource::GgufAdapterSource(std::string name, Parts parts, const Arch& arch, Type type)
    : TensorSource(std::move(name), InfosOf(parts.modules, type)),
      modules_(std::move(parts.modules)),
      alpha_(parts.alpha),
      arch_(arch),
      cache_(static_cast<size_t>(2 * ThreadCount())) {}

GgufAdapterSource::Parts GgufAdapterSource::PartsOf(const std::string& name, const MergePlan& plan,
                                                    const Arch& arch) {
  Parts parts{.modules = {}, .alpha = 0};
  for (const MergedTensor& tensor : plan.tensors) {
    if (tensor.steps.empty()) continue;
    const bool is_end =
        tensor.place.hf_name == kEmbeddingsHfName || tensor.place.hf_name == kOutputHfName;
    if (LowRankSteps(tensor).empty() || is_end) RefuseOthers(name, plan, tensor);
    const auto place = PlaceOfHf(arch, tensor.place.hf_name);
    QUERN_CHECK(tensor.steps.size() == 1);
    if (!place) {
      Fail(ErrorKind::kUnsupported, "{}: '{}' has no name in the architecture '{}'", name,
           tensor.place.hf_name, arch.gguf);
    }
    const LowRankDelta* delta = LowRankSteps(tensor).front();
    const int64_t rank = plan.report.deltas[tensor.steps.front().report].rank;
    const double alpha = delta->scale() * static_cast<double>(rank);
    parts.modules.push_back({.delta = delta,
                             .b_factor = alpha,
                             .embeds = place->rule->role == Role::kTokenEmbd,
                             .rows = tensor.info.rows(),
                             .rank = rank,
                             .cols = tensor.info.cols(),
                             .weight = GgufName(*place)});
  }
  QUERN_CHECK(!parts.modules.empty());
  // The same file whatever the order of the base's tensors.
  std::sort(parts.modules.begin(), parts.modules.end(),
            [](const Module& one, const Module& other) { return one.weight < other.weight; });
  parts.alpha = static_cast<float>(parts.modules.front().b_factor);
  for (Module& module : parts.modules) module.b_factor /= parts.alpha;
  return parts;
}

std::vector<TensorInfo> GgufAdapterSource::InfosOf(const std::vector<Module>& modules, Type type) {
  std::vector<TensorInfo> infos;
  for (const Module& m : modules) {
    const std::vector<int64_t> a =
        m.embeds ? std::vector{m.rank, m.rows} : std::vector{m.cols, m.rank};
    const std::vector<int64_t> b = {m.rank, m.embeds ? m.cols : m.rows};
    infos.push_back({.name = m.weight + std::string(kLoraAEnding), .type = type, .shape = a});
    infos.push_back({.name = m.weight + std::string(kLoraBEnding), .type = type, .shape = b});
  }
  return infos;
}

Metadata GgufAdapterSource::Keys(const Metadata& base, const std::string& title) const {
  const std::string arch(arch_.gguf);
  Metadata metadata(name());
  metadata.Set(keys::kArchitecture, arch);
  metadata.Set(keys::kType, "adapter");
  metadata.Set(keys::kAdapterType, "lora");
  if (!title.empty()) metadata.Set(keys::kName, title);
  metadata.Set(keys::kLoraAlpha, static_cast<float>(alpha_));
  // llama.cpp asks for none of these; with them the way back to PEFT needs no base.
  for (const char* key : {".block_count", ".attention.head_count", ".attention.head_count_kv"}) {
    const Value* value = base.Find(arch + key);
    if (value) metadata.Set(arch + key, *value);
  }
  return metadata;
}

void GgufAdapterSource::ReadRows(size_t index, int64_t first, int64_t count,
                                 std::span<std::byte> out) const {
  const TensorInfo& info = tensors()[index];
  const Module& module = modules_[index / 2];
  const bool is_b = index % 2 == 1;
  const std::shared_ptr<const Factors> factors = module.delta->LoadOnce(cache_);
  const int64_t rank = factors->rank, cols = factors->cols;
  std::vector<float> rows;
  for (int64_t row = first; row < first + count; ++row) {
    for (int64_t col = 0; col < info.cols(); ++col) {
      // Of the embeddings the weight is (B A)^T: its left factor is A^T, its right one B^T.
      const bool from_left = is_b != module.embeds;
      const int64_t at = from_left ? row * rank + col : is_b ? col * cols + row : row * cols + col;
      const float value = (from_left ? factors->left : factors->right)[static_cast<size_t>(at)];
      rows.push_back(is_b ? value * static_cast<float>(module.b_factor) : value);
    }
  }
  if (!rows.empty()) EncodeRows(info.type, rows.data(), count, info.cols(), {}, out.data());
}

}  // namespace quern
