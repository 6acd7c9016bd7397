#include "adapters/lora_config.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json_text.h"

namespace quern {
namespace {

using Json = nlohmann::ordered_json;

// The values of the config, each checked for its kind. Null and absent mean the same.
class Reader {
 public:
  Reader(Json object, std::string name) : object_(std::move(object)), name_(std::move(name)) {
    if (!object_.is_object()) Fail(ErrorKind::kBadInput, "{}: is no JSON object", name_);
  }

  const std::string& name() const { return name_; }

  const Json* Find(const char* key) const {
    const auto found = object_.find(key);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }

  bool Bool(const char* key) const {
    const Json* value = Find(key);
    if (!value) return false;
    if (!value->is_boolean()) Wrong(key, "true or false", *value);
    return value->get<bool>();
  }

  double Number(const char* key, double otherwise) const {
    const Json* value = Find(key);
    return value ? NumberOf(key, *value) : otherwise;
  }

  std::string Text(const char* key, const std::string& otherwise) const {
    const Json* value = Find(key);
    return value ? TextOf(key, *value) : otherwise;
  }

  // A list of texts; a single text is a list of one.
  std::vector<std::string> Texts(const char* key) const {
    const Json* value = Find(key);
    if (!value) return {};
    if (value->is_string()) return {value->get<std::string>()};
    if (!value->is_array()) Wrong(key, "a list of names", *value);
    std::vector<std::string> texts;
    for (const Json& item : *value) texts.push_back(TextOf(key, item));
    return texts;
  }

  std::vector<int64_t> Indices(const char* key, const Json& value) const {
    if (value.is_number()) return {IndexOf(key, value)};
    if (!value.is_array()) Wrong(key, "a list of numbers", value);
    std::vector<int64_t> indices;
    for (const Json& item : value) indices.push_back(IndexOf(key, item));
    return indices;
  }

  ModuleChoice Modules(const char* key) const {
    ModuleChoice choice;
    const Json* value = Find(key);
    if (!value) return choice;
    choice.said = true;
    if (value->is_string()) {
      choice.regex = value->get<std::string>();
    } else {
      choice.names = Texts(key);
    }
    return choice;
  }

  PatternValues Patterns(const char* key) const {
    PatternValues patterns;
    const Json* value = Find(key);
    if (!value) return patterns;
    if (!value->is_object()) Wrong(key, "an object of patterns and numbers", *value);
    for (const auto& [pattern, number] : value->items()) {
      patterns.emplace_back(pattern, NumberOf(key, number));
    }
    return patterns;
  }

  [[noreturn]] void Wrong(const char* key, const char* wanted, const Json& got) const {
    Fail(ErrorKind::kBadInput, "{}: '{}' should be {}, it is {:.60}", name_, key, wanted,
         got.dump(-1, ' ', true, Json::error_handler_t::replace));
  }

 private:
  std::string TextOf(const char* key, const Json& value) const {
    if (!value.is_string()) Wrong(key, "a text", value);
    return value.get<std::string>();
  }
  double NumberOf(const char* key, const Json& value) const {
    if (!value.is_number() || !std::isfinite(value.get<double>())) Wrong(key, "a number", value);
    return value.get<double>();
  }
  int64_t IndexOf(const char* key, const Json& value) const {
    if (!value.is_number_integer() || value.get<int64_t>() < 0) {
      Wrong(key, "whole numbers from 0", value);
    }
    return value.get<int64_t>();
  }

  Json object_;
  std::string name_;
};

// Keys that change what the adapter computes, in ways that a merge here would get wrong.
constexpr const char* kRefusedKeys[] = {
    "layer_replication", "alora_invocation_tokens", "use_qalora",    "use_bdlora", "kasa_config",
    "arrow_config",      "monteclora_config",       "velora_config", "enable_lora"};

void RefuseForeign(const Reader& reader) {
  const std::string type = reader.Text("peft_type", "");
  if (type.empty()) {
    Fail(ErrorKind::kBadInput, "{}: has no 'peft_type': is it an adapter_config.json?",
         reader.name());
  }
  if (type != "LORA") {
    Fail(ErrorKind::kUnsupported, "{}: peft_type is '{}', only LORA adapters can be merged",
         reader.name(), type);
  }
  for (const char* key : kRefusedKeys) {
    const Json* value = reader.Find(key);
    if (value && *value != Json(false)) {
      Fail(ErrorKind::kUnsupported, "{}: '{}' is set, and is not supported", reader.name(), key);
    }
  }
}

void CheckInit(const Reader& reader, LoraConfig& config) {
  const Json* value = reader.Find("init_lora_weights");
  if (!value || value->is_boolean()) return;
  const std::string init = reader.Text("init_lora_weights", "");
  for (const char* changer : {"pissa", "olora", "corda", "lora_ga"}) {
    if (init.starts_with(changer)) {
      Fail(
          ErrorKind::kUnsupported,
          "{}: init_lora_weights is '{}', which changed the base's weights before the training, so "
          "the adapter does not fit the original base; save it with PEFT's "
          "path_initial_model_for_weight_conversion first",
          reader.name(), init);
    }
  }
  if (init == "loftq") {
    config.notes.push_back(
        fmt::format("{}: was started with LoftQ: the base must be the quantized one that it was "
                    "trained on",
                    reader.name()));
  } else if (init != "gaussian" && init != "eva" && init != "orthogonal") {
    Fail(ErrorKind::kUnsupported, "{}: init_lora_weights '{}' is not known", reader.name(), init);
  }
}

BiasMode ReadBias(const Reader& reader) {
  const std::string bias = reader.Text("bias", "none");
  if (bias == "none") return BiasMode::kNone;
  if (bias == "lora_only") return BiasMode::kLoraOnly;
  if (bias == "all") return BiasMode::kAll;
  Fail(ErrorKind::kBadInput, "{}: bias is '{}', it should be none, lora_only or all", reader.name(),
       bias);
}

void ReadTrainableTokens(const Reader& reader, LoraConfig& config) {
  constexpr const char* kKey = "trainable_token_indices";
  const Json* value = reader.Find(kKey);
  if (!value) return;
  if (!value->is_object()) {
    config.trainable_tokens.emplace_back("embed_tokens", reader.Indices(kKey, *value));
    return;
  }
  for (const auto& [module, indices] : value->items()) {
    config.trainable_tokens.emplace_back(module, reader.Indices(kKey, indices));
  }
}

}  // namespace

LoraConfig ParseLoraConfig(std::string_view text, const std::string& name) {
  const Reader reader(ParseOrderedJson(text, name), name);
  RefuseForeign(reader);
  LoraConfig config;
  config.name = name;
  CheckInit(reader, config);
  config.base_model = reader.Text("base_model_name_or_path", "");
  config.rank = reader.Number("r", config.rank);
  config.alpha = reader.Number("lora_alpha", config.alpha);
  config.rank_pattern = reader.Patterns("rank_pattern");
  config.alpha_pattern = reader.Patterns("alpha_pattern");
  config.rank_stabilised = reader.Bool("use_rslora");
  config.dora = reader.Bool("use_dora");
  config.fan_in_fan_out = reader.Bool("fan_in_fan_out");
  config.lora_bias = reader.Bool("lora_bias");
  config.ensure_weight_tying = reader.Bool("ensure_weight_tying");
  config.bias = ReadBias(reader);
  config.target_modules = reader.Modules("target_modules");
  config.exclude_modules = reader.Modules("exclude_modules");
  if (const Json* layers = reader.Find("layers_to_transform")) {
    config.layers_to_transform = reader.Indices("layers_to_transform", *layers);
  }
  config.layers_pattern = reader.Texts("layers_pattern");
  config.modules_to_save = reader.Texts("modules_to_save");
  config.target_parameters = reader.Texts("target_parameters");
  ReadTrainableTokens(reader, config);
  return config;
}

}  // namespace quern
