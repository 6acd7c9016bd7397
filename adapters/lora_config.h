#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace quern {

enum class BiasMode { kNone, kLoraOnly, kAll };

// Modules of a model: names, each a whole name or the last parts of one, or one regular expression
// over the whole name. Neither: the config does not say.
struct ModuleChoice {
  std::vector<std::string> names;
  std::optional<std::string> regex;
  bool said = false;
};

// Values for modules whose name ends in a match of the key; the first that matches counts.
using PatternValues = std::vector<std::pair<std::string, double>>;

// adapter_config.json, as PEFT reads it (peft 0.21, LoraConfig).
struct LoraConfig {
  std::string name;  // of the file, for errors
  std::string base_model;
  double rank = 8;
  double alpha = 8;
  PatternValues rank_pattern, alpha_pattern;
  bool rank_stabilised = false;  // scale alpha / sqrt(r)
  bool dora = false;
  bool fan_in_fan_out = false;  // the base's weights stand transposed, [in, out]
  bool lora_bias = false;
  bool ensure_weight_tying = false;  // what is trained of the embeddings goes for the output too
  BiasMode bias = BiasMode::kNone;
  ModuleChoice target_modules, exclude_modules;
  std::optional<std::vector<int64_t>> layers_to_transform;
  std::vector<std::string> layers_pattern;
  std::vector<std::string> modules_to_save;
  std::vector<std::string> target_parameters;
  // Module and the tokens of it that were trained.
  std::vector<std::pair<std::string, std::vector<int64_t>>> trainable_tokens;
  // What the user should know of this adapter.
  std::vector<std::string> notes;
};

// Errors: kBadInput where the text is no LoRA config; kUnsupported, naming the key, for one that
// changes the result in a way that Quern does not follow. Unknown keys are ignored, as PEFT does.
LoraConfig ParseLoraConfig(std::string_view text, const std::string& name);

}  // namespace quern
