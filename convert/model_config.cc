#include "convert/model_config.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/json_text.h"
#include "convert/json_fields.h"
#include "convert/quantization_config.h"

namespace quern {
namespace fs = std::filesystem;
using nlohmann::json;
namespace {

// What transformers' configuration class of a name says where config.json says nothing.
struct ClassDefaults {
  std::string_view hf_class;
  int64_t context;
  // 0: hidden / heads. Absent: the class does not know the field.
  std::optional<int64_t> head_dim;
};
constexpr ClassDefaults kDefaults[] = {
    {"LlamaForCausalLM", 2048, 0},
    {"MistralForCausalLM", 131072, 0},
    {"Qwen2ForCausalLM", 32768, std::nullopt},
    {"Qwen3ForCausalLM", 32768, 128},
};
constexpr double kDefaultEps = 1e-6, kDefaultTheta = 10000;
constexpr int64_t kMaxLayers = 100000;
constexpr int64_t kMaxVocabulary = int64_t{1} << 22;

const ClassDefaults& DefaultsOf(const std::string& hf_class) {
  for (const ClassDefaults& defaults : kDefaults) {
    if (defaults.hf_class == hf_class) return defaults;
  }
  QUERN_CHECK(false);
  return kDefaults[0];
}

std::string KnownClasses() {
  std::string names;
  for (const Arch& arch : AllArchs()) {
    for (const std::string_view name : arch.hf_classes) {
      names += names.empty() ? "" : ", ";
      names += name;
    }
  }
  return names;
}

// The class that the folder's weights belong to.
std::string HfClassOf(const JsonFields& fields) {
  const json* classes = fields.Array("architectures");
  if (!classes || classes->empty()) {
    Fail(ErrorKind::kUnsupported, "{}: names no model class in 'architectures' (Quern knows {})",
         fields.name(), KnownClasses());
  }
  if (!classes->front().is_string()) {
    fields.FailType("architectures", "an array of strings", classes->front());
  }
  return classes->front().get<std::string>();
}

void CheckFamily(const JsonFields& fields, ModelConfig& config) {
  config.hf_class = HfClassOf(fields);
  config.arch = FindArchByHfClass(config.hf_class);
  if (!config.arch) {
    Fail(ErrorKind::kUnsupported, "{}: the model class '{}' is not supported (Quern knows {})",
         fields.name(), config.hf_class, KnownClasses());
  }
  CheckQuantization(fields);
  const auto activation = fields.Text("hidden_act").value_or("silu");
  if (activation != "silu" && activation != "swish") {
    Fail(ErrorKind::kUnsupported, "{}: the activation '{}' is not supported, only 'silu'",
         fields.name(), activation);
  }
  if (fields.Number("partial_rotary_factor").value_or(1) != 1) {
    Fail(ErrorKind::kUnsupported, "{}: a partial_rotary_factor other than 1 is not supported",
         fields.name());
  }
}

double NeedPositive(const JsonFields& fields, std::string_view key, std::optional<double> value) {
  if (!value) Fail(ErrorKind::kBadInput, "{}: '{}' is missing", fields.name(), key);
  if (!(*value > 0) || *value > 1e30) {
    Fail(ErrorKind::kBadInput, "{}: '{}' should be a positive number, it is {}", fields.name(), key,
         *value);
  }
  return *value;
}

void ReadYarn(const JsonFields& rope, RopeScaling& scaling) {
  scaling.extrapolation = rope.Number("extrapolation_factor");
  scaling.attention_factor = rope.Number("attention_factor");
  if (!rope.Has("attention_factor")) scaling.attention_factor = rope.Number("attn_factor");
  scaling.beta_fast = rope.Number("beta_fast");
  scaling.beta_slow = rope.Number("beta_slow");
}

void ReadLlama3(const JsonFields& rope, RopeScaling& scaling) {
  scaling.low_freq =
      NeedPositive(rope, "low_freq_factor", rope.Number("low_freq_factor").value_or(1));
  scaling.high_freq =
      NeedPositive(rope, "high_freq_factor", rope.Number("high_freq_factor").value_or(4));
  if (scaling.low_freq == scaling.high_freq) {
    Fail(ErrorKind::kBadInput, "{}: low_freq_factor and high_freq_factor are both {}", rope.name(),
         scaling.low_freq);
  }
}

RopeScaling::Kind KindOf(const std::string& type, const JsonFields& rope, const ModelConfig& config,
                         Progress& progress) {
  using Kind = RopeScaling::Kind;
  if (type == "default") return Kind::kNone;
  if (type == "linear") return Kind::kLinear;
  if (type == "yarn") return Kind::kYarn;
  if (type == "llama3" && config.arch->gguf == "llama") return Kind::kLlama3;
  if (type == "dynamic") {
    progress.Note(fmt::format(
        "{}: GGUF has no dynamic rope scaling; beyond {} tokens the model will not be itself",
        rope.name(), config.context));
    return Kind::kNone;
  }
  Fail(ErrorKind::kUnsupported, "{}: rope scaling '{}' is not supported for {}", rope.name(), type,
       config.hf_class);
}

void ReadRope(const JsonFields& fields, ModelConfig& config, Progress& progress) {
  config.rope_theta = fields.Number("rope_theta").value_or(kDefaultTheta);
  auto rope = fields.Object("rope_parameters");
  if (!rope) rope = fields.Object("rope_scaling");
  if (rope && rope->Has("full_attention")) rope = rope->Object("full_attention");
  if (rope) {
    if (const auto theta = rope->Number("rope_theta")) config.rope_theta = *theta;
    if (rope->Number("partial_rotary_factor").value_or(1) != 1) {
      Fail(ErrorKind::kUnsupported, "{}: a partial_rotary_factor other than 1 is not supported",
           rope->name());
    }
  }
  NeedPositive(fields, "rope_theta", config.rope_theta);
  if (!rope) return;
  auto type = rope->Text("rope_type");
  if (!type) type = rope->Text("type");
  if (!type) return;
  RopeScaling& scaling = config.rope;
  scaling.kind = KindOf(*type, *rope, config, progress);
  if (scaling.kind == RopeScaling::Kind::kNone) return;
  scaling.factor = NeedPositive(*rope, "factor", rope->Number("factor"));
  scaling.original_context =
      rope->Int("original_max_position_embeddings", 1)
          .value_or(fields.Int("original_max_position_embeddings", 1).value_or(config.context));
  if (scaling.kind == RopeScaling::Kind::kYarn) ReadYarn(*rope, scaling);
  if (scaling.kind == RopeScaling::Kind::kLlama3) ReadLlama3(*rope, scaling);
}

void ReadShapes(const JsonFields& fields, ModelConfig& config) {
  const ClassDefaults& defaults = DefaultsOf(config.hf_class);
  config.layers = fields.NeedInt("num_hidden_layers", 1, kMaxLayers);
  config.context = fields.Int("max_position_embeddings", 1).value_or(defaults.context);
  config.hidden = fields.NeedInt("hidden_size", 1);
  config.ffn = fields.NeedInt("intermediate_size", 1);
  config.heads = fields.NeedInt("num_attention_heads", 1);
  config.kv_heads = fields.Int("num_key_value_heads", 1).value_or(config.heads);
  config.vocab_size = fields.NeedInt("vocab_size", 1, kMaxVocabulary);
  config.tied = fields.Bool("tie_word_embeddings").value_or(false);
  config.rms_eps = fields.Number("rms_norm_eps").value_or(kDefaultEps);
  if (config.heads % config.kv_heads != 0) {
    Fail(ErrorKind::kBadInput, "{}: {} attention heads are no multiple of {} key-value heads",
         fields.name(), config.heads, config.kv_heads);
  }
  const auto head_dim = fields.Int("head_dim", 1);
  config.writes_head_dim = head_dim || defaults.head_dim;
  config.head_dim = head_dim.value_or(defaults.head_dim.value_or(0));
  if (config.head_dim == 0) {
    if (config.hidden % config.heads != 0) {
      Fail(ErrorKind::kBadInput, "{}: hidden_size {} is no multiple of {} attention heads",
           fields.name(), config.hidden, config.heads);
    }
    config.head_dim = config.hidden / config.heads;
  }
  if (config.head_dim % 2 != 0) {
    Fail(ErrorKind::kBadInput, "{}: a head of {} elements cannot be rotated in pairs",
         fields.name(), config.head_dim);
  }
}

void NoteWindow(const JsonFields& fields, const ModelConfig& config, Progress& progress) {
  const auto window = fields.Int("sliding_window", 0);
  const bool used = fields.Bool("use_sliding_window").value_or(config.arch->gguf == "llama");
  if (!window || !used || *window == 0 || *window >= config.context) return;
  progress.Note(fmt::format(
      "{}: GGUF's {} architecture cannot express the sliding window of {} tokens; beyond it the "
      "converted model attends to all tokens",
      fields.name(), config.arch->gguf, *window));
}

}  // namespace

ModelConfig ReadModelConfig(const fs::path& folder, Progress& progress) {
  const fs::path path = folder / "config.json";
  if (!fs::exists(path)) {
    Fail(ErrorKind::kBadInput, "{}: is no HF model folder, it has no config.json", folder.string());
  }
  const json text = ParseJson(ReadFile(path), path.string());
  const JsonFields fields(text, path.string());
  ModelConfig config;
  CheckFamily(fields, config);
  ReadShapes(fields, config);
  ReadRope(fields, config, progress);
  NoteWindow(fields, config, progress);
  for (const auto& [key, value] : text.items()) {
    if (key.ends_with("_token_id") && value.is_number_integer()) {
      config.token_ids.emplace_back(key, *fields.Int(key, INT32_MIN));
    }
  }
  if (const json* name = fields.Find("_name_or_path"); name && name->is_string()) {
    config.name_or_path = name->get<std::string>();
  }
  return config;
}

}  // namespace quern
