#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "adapters/lora_config.h"
#include "adapters/module_rules.h"
#include "gguf/tensor_source.h"

namespace quern {

// What an adapter's tensor is to its module: X(name, what stands behind the module's name).
#define QUERN_ADAPTER_PARTS(X)                                  \
  X(A, ".lora_A.weight")                                        \
  X(B, ".lora_B.weight")                                        \
  X(BBias, ".lora_B.bias")                                      \
  X(EmbeddingA, ".lora_embedding_A")                            \
  X(EmbeddingB, ".lora_embedding_B")                            \
  X(Magnitude, ".lora_magnitude_vector")                        \
  X(Tokens, ".token_adapter.trainable_tokens_delta")            \
  X(TokensBase, ".token_adapter.base_layer.weight")             \
  X(BaseWeight, ".base_layer.weight")                           \
  X(BaseBias, ".base_layer.bias")                               \
  X(SavedWeight, ".modules_to_save.weight")                     \
  X(SavedBias, ".modules_to_save.bias")                         \
  X(OriginalWeight, ".original_module.weight")                  \
  X(OriginalBias, ".original_module.bias")                      \
  X(Weight, ".weight") /* last: their endings end others too */ \
  X(Bias, ".bias")

enum class AdapterPart {
#define QUERN_PART_ENUM(name, ending) k##name,
  QUERN_ADAPTER_PARTS(QUERN_PART_ENUM)
#undef QUERN_PART_ENUM
      kCount
};

// What stands before the name of a module of the base.
inline constexpr std::string_view kPeftPrefix = "base_model.model.";

// The name of a tensor of an adapter.
std::string PeftName(std::string_view module, AdapterPart part);

// The tensors of an adapter that belong to one module of the base.
struct AdapterModule {
  std::string name;  // "model.layers.0.self_attn.q_proj"
  std::array<std::optional<size_t>, static_cast<size_t>(AdapterPart::kCount)> parts;

  std::optional<size_t> operator[](AdapterPart part) const {
    return parts[static_cast<size_t>(part)];
  }
};

// A PEFT adapter: its config, and its tensors sorted by module.
class LoraAdapter {
 public:
  // Errors: kBadInput where a tensor's name is none that PEFT writes, or two tensors are the same
  // part of one module. Reads no tensor.
  LoraAdapter(LoraConfig config, std::shared_ptr<const TensorSource> tensors);

  const std::string& name() const { return tensors_->name(); }
  const LoraConfig& config() const { return config_; }
  const ModuleRules& rules() const { return rules_; }
  const std::vector<AdapterModule>& modules() const { return modules_; }
  const TensorSource& tensors() const { return *tensors_; }
  const TensorInfo& tensor(size_t index) const { return tensors_->tensors()[index]; }

  // Two tensors of a module that go together. Error kBadInput where one of them is missing; the
  // other must be there.
  std::pair<size_t, size_t> NeedPair(const AdapterModule& module, AdapterPart a,
                                     AdapterPart b) const;

  // All weights of a tensor, [rows, cols]. Error kNonFinite, naming tensor and index, for NaN and
  // Inf.
  std::vector<float> Read(size_t index) const;
  // Rows [first, first + count) into out[count, cols], likewise.
  void ReadRows(size_t index, int64_t first, int64_t count, std::span<float> out) const;

 private:
  LoraConfig config_;
  ModuleRules rules_;
  std::shared_ptr<const TensorSource> tensors_;
  std::vector<AdapterModule> modules_;
};

}  // namespace quern
