#include "adapters/lora_adapter.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "base/error.h"
#include "kernels/codec.h"

namespace quern {
namespace {

constexpr std::string_view kEndings[] = {
#define QUERN_PART_ENDING(name, ending) ending,
    QUERN_ADAPTER_PARTS(QUERN_PART_ENDING)
#undef QUERN_PART_ENDING
};

// "lora_A" of ".lora_A.weight".
std::string_view NounOf(AdapterPart part) {
  const std::string_view ending = kEndings[static_cast<size_t>(part)].substr(1);
  return ending.substr(0, ending.find('.'));
}

// Parts that hold the adapter's name as one more segment in trainer checkpoints.
constexpr std::string_view kNamedParts[] = {".lora_A",
                                            ".lora_B",
                                            ".lora_embedding_A",
                                            ".lora_embedding_B",
                                            ".lora_magnitude_vector",
                                            ".modules_to_save",
                                            ".trainable_tokens_delta"};

// ".lora_A.default.weight" -> ".lora_A.weight", ".lora_embedding_A.default" -> ".lora_embedding_A".
std::string WithoutAdapterName(std::string name) {
  for (const std::string_view part : kNamedParts) {
    const size_t at = name.rfind(part);
    if (at == std::string::npos) continue;
    const size_t begin = at + part.size();
    if (begin == name.size() || name[begin] != '.') continue;
    const size_t end = std::min(name.find('.', begin + 1), name.size());
    const std::string segment = name.substr(begin, end - begin);
    if (segment != ".weight" && segment != ".bias") name.erase(begin, end - begin);
    // The magnitude of some releases is a module with a weight.
    if (part == ".lora_magnitude_vector" && name.ends_with(".weight")) {
      name.resize(name.size() - std::string_view(".weight").size());
    }
    break;
  }
  return name;
}

}  // namespace

std::string PeftName(std::string_view module, AdapterPart part) {
  return fmt::format("{}{}{}", kPeftPrefix, module, kEndings[static_cast<size_t>(part)]);
}

LoraAdapter::LoraAdapter(LoraConfig config, std::shared_ptr<const TensorSource> tensors)
    : config_(std::move(config)), rules_(config_), tensors_(std::move(tensors)) {
  std::unordered_map<std::string, size_t> index;
  for (size_t t = 0; t < tensors_->tensors().size(); ++t) {
    const std::string& full = tensor(t).name;
    if (!full.starts_with(kPeftPrefix)) {
      Fail(ErrorKind::kBadInput, "{}: tensor '{}' should begin with '{}', as PEFT's do", name(),
           full, kPeftPrefix);
    }
    const std::string rest = WithoutAdapterName(full.substr(kPeftPrefix.size()));
    const auto* const ending =
        std::find_if(std::begin(kEndings), std::end(kEndings),
                     [&](std::string_view candidate) { return rest.ends_with(candidate); });
    if (ending == std::end(kEndings) || rest.size() == ending->size()) {
      Fail(ErrorKind::kBadInput, "{}: tensor '{}' is no part of a LoRA adapter that Quern knows",
           name(), full);
    }
    const std::string module = rest.substr(0, rest.size() - ending->size());
    const auto [found, added] = index.try_emplace(module, modules_.size());
    if (added) modules_.push_back({.name = module, .parts = {}});
    auto& slot = modules_[found->second].parts[static_cast<size_t>(ending - kEndings)];
    if (slot) {
      Fail(ErrorKind::kBadInput, "{}: tensors '{}' and '{}' are the same part of one module",
           name(), tensor(*slot).name, full);
    }
    slot = t;
  }
  if (modules_.empty()) Fail(ErrorKind::kBadInput, "{}: has no tensors", name());
}

std::pair<size_t, size_t> LoraAdapter::NeedPair(const AdapterModule& module, AdapterPart a,
                                                AdapterPart b) const {
  const auto one = module[a], other = module[b];
  if (!one || !other) {
    Fail(ErrorKind::kBadInput, "{}: tensor '{}' has no {} beside it", name(),
         tensor(one ? *one : *other).name, NounOf(one ? b : a));
  }
  return {*one, *other};
}

std::vector<float> LoraAdapter::Read(size_t index) const {
  std::vector<float> weights(static_cast<size_t>(tensor(index).elements()));
  ReadRows(index, 0, tensor(index).rows(), weights);
  return weights;
}

void LoraAdapter::ReadRows(size_t index, int64_t first, int64_t count, std::span<float> out) const {
  const TensorInfo& info = tensor(index);
  if (!IsFloat(info.type) || !CanDecode(info.type)) {
    Fail(ErrorKind::kUnsupported, "{}: tensor '{}' is {}, floats are wanted", name(), info.name,
         NameOf(info.type));
  }
  std::vector<std::byte> raw(static_cast<size_t>(count * info.row_bytes()));
  tensors_->ReadRows(index, first, count, raw);
  Decode(info.type, raw.data(), static_cast<int64_t>(out.size()), out.data());
  for (size_t i = 0; i < out.size(); ++i) {
    if (!std::isfinite(out[i])) {
      Fail(ErrorKind::kNonFinite, "{}: tensor '{}' has NaN or Inf at index {}", name(), info.name,
           static_cast<size_t>(first * info.cols()) + i);
    }
  }
}

}  // namespace quern
