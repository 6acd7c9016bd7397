#include "convert/model_keys.h"

#include <cmath>
#include <numbers>

#include "base/error.h"
#include "gguf/keys.h"

namespace quern {
namespace {

constexpr uint32_t kQuantizationVersion = 2;

class ArchKeys {
 public:
  ArchKeys(const ModelConfig& config, Metadata& keys) : arch_(config.arch->gguf), keys_(keys) {}
  void Count(std::string_view key, int64_t value) {
    keys_.Set(Name(key), static_cast<uint32_t>(value));
  }
  void Number(std::string_view key, double value) {
    keys_.Set(Name(key), static_cast<float>(value));
  }
  void Number(std::string_view key, std::optional<double> value) {
    if (value) Number(key, *value);
  }
  void Text(std::string_view key, const char* value) { keys_.Set(Name(key), value); }

 private:
  std::string Name(std::string_view key) const { return fmt::format("{}.{}", arch_, key); }
  std::string_view arch_;
  Metadata& keys_;
};

void SetScaling(const RopeScaling& rope, ArchKeys& keys) {
  const bool yarn = rope.kind == RopeScaling::Kind::kYarn;
  if (!yarn && rope.kind != RopeScaling::Kind::kLinear) return;
  keys.Text("rope.scaling.type", yarn ? "yarn" : "linear");
  keys.Number("rope.scaling.factor", rope.factor);
  if (!yarn) return;
  keys.Count("rope.scaling.original_context_length", rope.original_context);
  keys.Number("rope.scaling.yarn_ext_factor", rope.extrapolation);
  keys.Number("rope.scaling.yarn_attn_factor", rope.attention_factor);
  keys.Number("rope.scaling.yarn_beta_fast", rope.beta_fast);
  keys.Number("rope.scaling.yarn_beta_slow", rope.beta_slow);
}

}  // namespace

void SetModelKeys(const ModelConfig& config, int64_t file_type, Metadata& metadata) {
  ArchKeys keys(config, metadata);
  keys.Count("block_count", config.layers);
  keys.Count("context_length", config.context);
  keys.Count("embedding_length", config.hidden);
  keys.Count("feed_forward_length", config.ffn);
  keys.Count("attention.head_count", config.heads);
  keys.Count("attention.head_count_kv", config.kv_heads);
  SetScaling(config.rope, keys);
  keys.Number("rope.freq_base", config.rope_theta);
  keys.Number("attention.layer_norm_rms_epsilon", config.rms_eps);
  if (config.writes_head_dim) {
    keys.Count("attention.key_length", config.head_dim);
    keys.Count("attention.value_length", config.head_dim);
  }
  metadata.Set(keys::kFileType, static_cast<uint32_t>(file_type));
  if (config.arch->gguf == "llama") {
    keys.Count("vocab_size", config.vocab_size);
    keys.Count("rope.dimension_count", config.head_dim);
  }
  metadata.Set(keys::kQuantizationVersion, kQuantizationVersion);
}

std::vector<float> RopeFactors(const ModelConfig& config) {
  const RopeScaling& rope = config.rope;
  if (rope.kind != RopeScaling::Kind::kLlama3) return {};
  const auto base = static_cast<float>(config.rope_theta);
  const auto dim = static_cast<float>(config.head_dim);
  const auto context = static_cast<double>(rope.original_context);
  const auto longest = static_cast<float>(context / rope.low_freq);
  const auto shortest = static_cast<float>(context / rope.high_freq);
  std::vector<float> factors;
  for (int64_t i = 0; i < config.head_dim; i += 2) {
    const float frequency = 1.0f / std::pow(base, static_cast<float>(i) / dim);
    // torch divides a number by a tensor as number * (1 / tensor): two roundings, not one.
    const float wavelength = (1.0f / frequency) * static_cast<float>(2 * std::numbers::pi);
    if (wavelength < shortest) {
      factors.push_back(1);
    } else if (wavelength > longest) {
      factors.push_back(static_cast<float>(rope.factor));
    } else {
      const float turns = (1.0f / wavelength) * static_cast<float>(context);
      const float smooth = (turns - static_cast<float>(rope.low_freq)) /
                           static_cast<float>(rope.high_freq - rope.low_freq);
      factors.push_back(1.0f / ((1.0f - smooth) / static_cast<float>(rope.factor) + smooth));
    }
  }
  return factors;
}

}  // namespace quern
