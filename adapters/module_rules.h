#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "adapters/lora_config.h"
#include "adapters/regex.h"

namespace quern {

// What a config says of a module, by the module's name in the base ("model.layers.0.mlp.up_proj").
// The rules are PEFT's (tuners_utils.check_target_module_exists, get_pattern_key).
class ModuleRules {
 public:
  explicit ModuleRules(const LoraConfig& config);

  // Whether the config says that the module is adapted. Where it has neither target_modules nor
  // target_parameters, that is left to the tensors: true.
  bool Targets(std::string_view module) const;
  // Whether that is by target_parameters, which name the module's weight.
  bool TargetsWeight(std::string_view module) const;
  // The scale of B A where A has `rank` rows: alpha / rank, or alpha / sqrt(rank).
  double Scale(std::string_view module, int64_t rank) const;
  // The rank that the config gives the module.
  double Rank(std::string_view module) const;
  // Whether the module, or one that it is part of, is trained as a whole.
  bool Saves(std::string_view module) const;
  // The tokens of the module that were trained, in the order of their rows; nullptr: none.
  const std::vector<int64_t>* TrainedTokens(std::string_view module) const;

 private:
  struct Choice {
    std::vector<std::string> names;
    std::optional<Regex> regex;
    bool all_linear = false;
    bool said = false;
    bool Has(std::string_view module, bool& by_whole_name) const;
  };
  struct Pattern {
    Regex key;
    double value;
  };
  static Choice MakeChoice(const ModuleChoice& choice, const std::string& where);
  static std::vector<Pattern> MakePatterns(const PatternValues& values, const std::string& where);
  bool InLayers(std::string_view module) const;
  // The name by which patterns find the module.
  std::string PatternName(std::string_view module) const;

  Choice target_, exclude_;
  std::vector<std::string> saved_, parameters_;
  std::vector<Regex> saved_parts_;  // modules that are saved, and all that they consist of
  std::optional<std::vector<int64_t>> layers_;
  std::vector<std::pair<std::string, std::vector<int64_t>>> tokens_;
  std::vector<Regex> layer_patterns_;
  std::vector<Pattern> ranks_, alphas_;
  double rank_, alpha_;
  bool rank_stabilised_;
};

}  // namespace quern
