#include "adapters/module_rules.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/error.h"

namespace quern {
namespace {

// Whether `name` is the module's whole name, or its last parts.
bool EndsInParts(std::string_view module, std::string_view name) {
  return module == name || (module.size() > name.size() && module.ends_with(name) &&
                            module[module.size() - name.size() - 1] == '.');
}

}  // namespace

ModuleRules::ModuleRules(const LoraConfig& config)
    : target_(MakeChoice(config.target_modules, config.name + ": target_modules")),
      exclude_(MakeChoice(config.exclude_modules, config.name + ": exclude_modules")),
      saved_(config.modules_to_save),
      parameters_(config.target_parameters),
      layers_(config.layers_to_transform),
      tokens_(config.trainable_tokens),
      ranks_(MakePatterns(config.rank_pattern, config.name + ": rank_pattern")),
      alphas_(MakePatterns(config.alpha_pattern, config.name + ": alpha_pattern")),
      rank_(config.rank),
      alpha_(config.alpha),
      rank_stabilised_(config.rank_stabilised) {
  for (const std::string& name : saved_) {
    saved_parts_.emplace_back("(?:.*\\.)?(?:" + name + ")(?:\\..*)?",
                              config.name + ": modules_to_save");
  }
  // An empty list counts as none.
  if (layers_ && layers_->empty()) layers_.reset();
  const std::string where = config.name + ": layers_pattern";
  for (const std::string& pattern : config.layers_pattern) {
    if (pattern.empty()) continue;
    layer_patterns_.emplace_back(R"((?:.*?\.)?)" + pattern + R"(\.(\d+)\.)", where);
  }
  if (layer_patterns_.empty()) layer_patterns_.emplace_back(R"(.*?\.[^.]*\.(\d+)\.)", where);
}

ModuleRules::Choice ModuleRules::MakeChoice(const ModuleChoice& choice, const std::string& where) {
  Choice made;
  made.names = choice.names;
  made.said = choice.said;
  if (choice.regex == "all-linear") {
    made.all_linear = true;
  } else if (choice.regex) {
    made.regex.emplace(*choice.regex, where);
  }
  return made;
}

std::vector<ModuleRules::Pattern> ModuleRules::MakePatterns(const PatternValues& values,
                                                            const std::string& where) {
  std::vector<Pattern> patterns;
  for (const auto& [key, value] : values) {
    patterns.push_back({Regex("(?:.*\\.)?(?:" + key + ")", where), value});
  }
  return patterns;
}

bool ModuleRules::Choice::Has(std::string_view module, bool& by_whole_name) const {
  by_whole_name = false;
  // PEFT's all-linear leaves the output out; embeddings are not linear.
  if (all_linear) return !EndsInParts(module, "lm_head") && !EndsInParts(module, "embed_tokens");
  by_whole_name = true;
  if (regex) return regex->FullMatch(module);
  if (std::find(names.begin(), names.end(), module) != names.end()) return true;
  by_whole_name = false;
  return std::any_of(names.begin(), names.end(),
                     [&](const std::string& name) { return EndsInParts(module, name); });
}

bool ModuleRules::Targets(std::string_view module) const {
  bool whole = false;
  if (TargetsWeight(module)) return true;
  const bool is_saved = std::any_of(saved_parts_.begin(), saved_parts_.end(),
                                    [&](const Regex& part) { return part.FullMatch(module); });
  if (is_saved || exclude_.Has(module, whole)) return false;
  if (!target_.said) return parameters_.empty();
  if (!target_.Has(module, whole)) return false;
  // Layers are chosen only among modules that a list names by their last parts.
  return whole || !layers_ || InLayers(module);
}

bool ModuleRules::TargetsWeight(std::string_view module) const {
  const std::string weight = std::string(module) + ".weight";
  return std::any_of(parameters_.begin(), parameters_.end(),
                     [&](const std::string& name) { return EndsInParts(weight, name); });
}

std::string ModuleRules::PatternName(std::string_view module) const {
  return std::string(module) + (TargetsWeight(module) ? ".weight" : "");
}

bool ModuleRules::InLayers(std::string_view module) const {
  for (const Regex& pattern : layer_patterns_) {
    if (const auto digits = pattern.FirstGroup(module)) {
      int64_t layer = -1;
      std::from_chars(digits->data(), digits->data() + digits->size(), layer);
      return std::find(layers_->begin(), layers_->end(), layer) != layers_->end();
    }
  }
  return false;
}

double ModuleRules::Rank(std::string_view module) const {
  const std::string name = PatternName(module);
  for (const Pattern& pattern : ranks_) {
    if (pattern.key.FullMatch(name)) return pattern.value;
  }
  return rank_;
}

double ModuleRules::Scale(std::string_view module, int64_t rank) const {
  double alpha = alpha_;
  const std::string name = PatternName(module);
  for (const Pattern& pattern : alphas_) {
    if (pattern.key.FullMatch(name)) {
      alpha = pattern.value;
      break;
    }
  }
  const auto r = static_cast<double>(rank);
  return alpha / (rank_stabilised_ ? std::sqrt(r) : r);
}

// Every module whose name ends in one of modules_to_save is saved with all its parts, "norm" means
// "q_norm" and "post_attention_layernorm" too (PEFT: other._set_trainable).
bool ModuleRules::Saves(std::string_view module) const {
  for (size_t end = module.find('.');; end = module.find('.', end + 1)) {
    const std::string_view part = module.substr(0, end);
    if (std::any_of(saved_.begin(), saved_.end(),
                    [&](const std::string& name) { return part.ends_with(name); })) {
      return true;
    }
    if (end == std::string_view::npos) return false;
  }
}

const std::vector<int64_t>* ModuleRules::TrainedTokens(std::string_view module) const {
  for (const auto& [name, tokens] : tokens_) {
    if (EndsInParts(module, name)) return &tokens;
  }
  return nullptr;
}

}  // namespace quern
