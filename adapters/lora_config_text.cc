#include "adapters/lora_config_text.h"

#include <map>
#include <nlohmann/json.hpp>
#include <set>

namespace quern {
namespace {

using Json = nlohmann::json;

// Whole numbers without ".0", as people write ranks.
Json NumberOf(double value) {
  const auto whole = static_cast<int64_t>(value);
  return static_cast<double>(whole) == value ? Json(whole) : Json(value);
}

Json PatternsOf(const PatternValues& patterns) {
  Json object = Json::object();
  for (const auto& [module, value] : patterns) object[module] = NumberOf(value);
  return object;
}

}  // namespace

std::string LoraConfigText(const LoraConfig& config) {
  const Json out = {
      {"alpha_pattern", PatternsOf(config.alpha_pattern)},
      {"base_model_name_or_path", config.base_model.empty() ? Json() : Json(config.base_model)},
      {"bias", "none"},
      {"fan_in_fan_out", false},
      {"inference_mode", true},
      {"init_lora_weights", true},
      {"lora_alpha", NumberOf(config.alpha)},
      {"lora_dropout", 0.0},
      {"modules_to_save", Json()},
      {"peft_type", "LORA"},
      {"r", NumberOf(config.rank)},
      {"rank_pattern", PatternsOf(config.rank_pattern)},
      {"target_modules", config.target_modules.names},
      {"task_type", "CAUSAL_LM"},
      {"use_dora", false},
      {"use_rslora", config.rank_stabilised}};
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::vector<std::string> ShortTargets(const std::vector<std::string>& modules, int64_t layers) {
  std::map<std::string, int64_t> counts;
  for (const std::string& module : modules) {
    ++counts[module.substr(module.rfind('.') + 1)];
  }
  std::set<std::string> targets;
  for (const std::string& module : modules) {
    const std::string last = module.substr(module.rfind('.') + 1);
    const bool layered = module.find(".layers.") != std::string::npos;
    const bool everywhere = counts[last] == (layered ? layers : 1);
    targets.insert(everywhere ? last : module);
  }
  return {targets.begin(), targets.end()};
}

}  // namespace quern
