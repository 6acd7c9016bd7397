#include "convert/llama_pth.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "model/arch/renamed_source.h"

namespace quern {
namespace {

constexpr std::string_view kClass = "LlamaForCausalLM";

// What Llama's code calls the part of a layer, or of the model, that does this; empty: nothing.
std::string_view NameOf(Role role) {
  switch (role) {
    case Role::kTokenEmbd:
      return "tok_embeddings";
    case Role::kOutputNorm:
      return "norm";
    case Role::kOutput:
      return "output";
    case Role::kAttnNorm:
      return "attention_norm";
    case Role::kAttnQ:
      return "attention.wq";
    case Role::kAttnK:
      return "attention.wk";
    case Role::kAttnV:
      return "attention.wv";
    case Role::kAttnOutput:
      return "attention.wo";
    case Role::kFfnNorm:
      return "ffn_norm";
    case Role::kFfnGate:
      return "feed_forward.w1";
    case Role::kFfnDown:
      return "feed_forward.w2";
    case Role::kFfnUp:
      return "feed_forward.w3";
    default:
      return "";
  }
}

void CheckClass(const TensorSource& hf, const ModelConfig& config) {
  if (config.rope.kind != RopeScaling::Kind::kNone &&
      config.rope.kind != RopeScaling::Kind::kLlama3) {
    Fail(ErrorKind::kUnsupported,
         "{}: its rope scaling is none that Llama's own code has, so it cannot be written as "
         "Llama's own checkpoint",
         hf.name());
  }
  if (config.hf_class == kClass && config.head_dim * config.heads == config.hidden) return;
  Fail(
      ErrorKind::kUnsupported,
      "{}: a {} cannot be written as Llama's own checkpoint, only a {} whose heads together are as "
      "wide as the model",
      hf.name(), config.hf_class, kClass);
}

// The feed-forward width that Llama's code makes of its parameters.
int64_t WidthOf(int64_t dim, int64_t multiple_of, double multiplier) {
  const auto width = static_cast<int64_t>(multiplier * static_cast<double>(2 * (4 * dim) / 3));
  return (width + multiple_of - 1) / multiple_of * multiple_of;
}

// multiple_of and ffn_dim_multiplier that give this width: Llama's own where they do.
void SetWidth(const ModelConfig& config, nlohmann::ordered_json& params) {
  for (const int64_t multiple : {256, 1024, 4096, 512, 128, 64, 32, 16, 8, 4, 2, 1}) {
    if (WidthOf(config.hidden, multiple, 1) != config.ffn) continue;
    params["multiple_of"] = multiple;
    return;
  }
  for (const double multiplier :
       {1.3, 1.5,
        static_cast<double>(config.ffn) / static_cast<double>(2 * (4 * config.hidden) / 3)}) {
    for (const int64_t multiple : {1024, 4096, 256, 64, 16, 4, 1}) {
      if (WidthOf(config.hidden, multiple, multiplier) != config.ffn) continue;
      params["multiple_of"] = multiple;
      params["ffn_dim_multiplier"] = multiplier;
      return;
    }
  }
  // A multiplier of the width itself can fall short by the rounding of its double.
  params["multiple_of"] = config.ffn;
  params["ffn_dim_multiplier"] =
      0.5 * static_cast<double>(config.ffn) / static_cast<double>(2 * (4 * config.hidden) / 3);
}

}  // namespace

LlamaNamed MakeLlamaNamed(std::shared_ptr<const TensorSource> hf, const ModelConfig& config) {
  CheckClass(*hf, config);
  std::vector<RenamedSource::Entry> entries;
  std::optional<size_t> embeddings;
  bool has_output = false;
  for (size_t t = 0; t < hf->tensors().size(); ++t) {
    const TensorInfo& tensor = hf->tensors()[t];
    if (tensor.name.ends_with(".rotary_emb.inv_freq")) continue;
    const auto place = PlaceOfHf(*config.arch, tensor.name);
    const std::string_view name = place ? NameOf(place->rule->role) : std::string_view();
    if (name.empty() || place->is_bias) {
      Fail(ErrorKind::kUnsupported, "{}: tensor '{}' has no place in Llama's own checkpoint",
           hf->name(), tensor.name);
    }
    if (place->rule->role == Role::kTokenEmbd) embeddings = t;
    has_output = has_output || place->rule->role == Role::kOutput;
    entries.push_back({.index = t,
                       .name = place->layer < 0
                                   ? fmt::format("{}.weight", name)
                                   : fmt::format("layers.{}.{}.weight", place->layer, name),
                       .head_rows = HeadRows(place->rule->order, config.head_dim)});
    if (entries.back().head_rows > 0 && tensor.rows() % config.head_dim != 0) {
      Fail(ErrorKind::kBadInput, "{}: tensor '{}' has {} rows, heads have {}", hf->name(),
           tensor.name, tensor.rows(), config.head_dim);
    }
  }
  if (!embeddings) {
    Fail(ErrorKind::kBadInput, "{}: has no tensor 'model.embed_tokens.weight'", hf->name());
  }
  if (!has_output) entries.push_back({.index = *embeddings, .name = kLlamaOutput});
  LlamaNamed named;
  for (const auto& entry : entries) {
    named.origins.push_back(entry.index);
    named.head_rows.push_back(entry.head_rows);
  }
  // GGUF's order of the rows is that of Llama's own code.
  named.tensors =
      std::make_shared<RenamedSource>(std::move(hf), std::move(entries), RowDirection::kToGguf);
  return named;
}

std::string LlamaParams(const ModelConfig& config) {
  nlohmann::ordered_json params;
  params["dim"] = config.hidden;
  SetWidth(config, params);
  params["n_heads"] = config.heads;
  params["n_layers"] = config.layers;
  params["norm_eps"] = config.rms_eps;
  params["vocab_size"] = -1;
  if (config.kv_heads != config.heads) params["n_kv_heads"] = config.kv_heads;
  if (config.rope_theta != 10000) params["rope_theta"] = config.rope_theta;
  if (config.rope.kind == RopeScaling::Kind::kLlama3) params["use_scaled_rope"] = true;
  return params.dump(2) + "\n";
}

}  // namespace quern
