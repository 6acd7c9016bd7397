#include "adapters/module_rules.h"

#include <doctest/doctest.h>

#include <cmath>

#include "base/error.h"

namespace quern {
namespace {

constexpr const char* kQ0 = "model.layers.0.self_attn.q_proj";
constexpr const char* kQ11 = "model.layers.11.self_attn.q_proj";

ModuleRules RulesOf(const std::string& more) {
  return ModuleRules(ParseLoraConfig(R"({"peft_type": "LORA")" + more + "}", "config"));
}

ErrorKind KindOf(const std::string& text) {
  try {
    const ModuleRules rules(ParseLoraConfig(text, "config"));
    rules.Targets(kQ0);
  } catch (const Error& error) {
    return error.kind();
  }
  return ErrorKind{};
}

TEST_CASE("a list names whole modules or their last parts") {
  const auto rules = RulesOf(R"(, "target_modules": ["q_proj", "model.layers.1.mlp.up_proj"])");
  CHECK(rules.Targets(kQ0));
  CHECK(rules.Targets("model.layers.1.mlp.up_proj"));
  CHECK_FALSE(rules.Targets("model.layers.2.mlp.up_proj"));
  CHECK_FALSE(rules.Targets("model.layers.0.self_attn.xq_proj"));
  CHECK(RulesOf("").Targets(kQ0));
}

TEST_CASE("a text is a regular expression over the whole name") {
  const auto rules = RulesOf(R"x(, "target_modules": ".*layers\\.1\\..*(q_proj|o_proj)")x");
  CHECK(rules.Targets("model.layers.1.self_attn.o_proj"));
  CHECK_FALSE(rules.Targets("model.layers.11.self_attn.o_proj"));
  CHECK_FALSE(rules.Targets("model.layers.1.self_attn.o_proj.base"));
  const auto linear = RulesOf(R"(, "target_modules": "all-linear")");
  CHECK(linear.Targets(kQ0));
  CHECK_FALSE(linear.Targets("lm_head"));
}

TEST_CASE("excluded and saved modules win") {
  const auto rules = RulesOf(
      R"(, "target_modules": ["q_proj", "lm_head"], "exclude_modules": ".*\\.11\\..*",
         "modules_to_save": ["lm_head"])");
  CHECK(rules.Targets(kQ0));
  CHECK_FALSE(rules.Targets(kQ11));
  CHECK_FALSE(rules.Targets("lm_head"));
  CHECK(rules.Saves("lm_head"));
}

TEST_CASE("what is saved is every module whose name ends so, and all its parts") {
  const auto rules = RulesOf(R"(, "target_modules": ["q_proj", "up_proj", "o_proj"],
                                  "modules_to_save": ["norm", "mlp", "0.self_attn.q_proj"])");
  CHECK(rules.Saves("model.norm"));
  CHECK(rules.Saves("model.layers.0.self_attn.q_norm"));
  CHECK(rules.Saves("model.layers.0.post_attention_layernorm"));
  CHECK(rules.Saves("model.layers.1.mlp.up_proj"));
  CHECK(rules.Saves(kQ0));
  CHECK_FALSE(rules.Saves("model.layers.0.self_attn.o_proj"));
  CHECK_FALSE(rules.Targets("model.layers.1.mlp.up_proj"));
  CHECK_FALSE(rules.Targets(kQ0));
  CHECK(rules.Targets("model.layers.1.self_attn.q_proj"));
}

TEST_CASE("parameters are targeted by the weight's name, and patterns go by that, too") {
  const auto rules = RulesOf(R"(, "target_modules": ["v_proj"],
      "target_parameters": ["mlp.up_proj.weight", "model.layers.0.self_attn.q_proj.weight"],
      "exclude_modules": ["up_proj"], "lora_alpha": 8,
      "alpha_pattern": {"up_proj": 4, "q_proj.weight": 2})");
  CHECK(rules.Targets("model.layers.1.mlp.up_proj"));
  CHECK(rules.TargetsWeight("model.layers.1.mlp.up_proj"));
  CHECK(rules.Targets(kQ0));
  CHECK_FALSE(rules.Targets(kQ11));
  CHECK_FALSE(rules.Targets("model.layers.1.mlp.down_proj"));
  CHECK(rules.Targets("model.layers.1.self_attn.v_proj"));
  CHECK_FALSE(rules.TargetsWeight("model.layers.1.self_attn.v_proj"));
  CHECK(rules.Scale("model.layers.1.mlp.up_proj", 2) == 4);
  CHECK(rules.Scale(kQ0, 2) == 1);
  CHECK_FALSE(RulesOf(R"(, "target_parameters": ["up_proj.weight"])").Targets(kQ0));
}

TEST_CASE("layers_to_transform goes by the first number behind a name") {
  const auto rules = RulesOf(R"(, "target_modules": ["q_proj", "model.layers.3.mlp.up_proj"],
                                  "layers_to_transform": [11])");
  CHECK_FALSE(rules.Targets(kQ0));
  CHECK(rules.Targets(kQ11));
  // A module that the list names as a whole is taken in any layer.
  CHECK(rules.Targets("model.layers.3.mlp.up_proj"));
  const auto one = RulesOf(R"(, "target_modules": ["q_proj"], "layers_to_transform": 0,
                                "layers_pattern": "layers")");
  CHECK(one.Targets(kQ0));
  CHECK_FALSE(one.Targets(kQ11));
  CHECK_FALSE(one.Targets("model.blocks.0.q_proj"));
}

TEST_CASE("the first pattern that ends a module's name gives alpha and rank") {
  const auto rules = RulesOf(R"(, "r": 16, "lora_alpha": 24, "use_rslora": true,
      "alpha_pattern": {"layers.1.self_attn.v_proj": 5, "layers\\.\\d+\\.mlp\\.up_proj": 40},
      "rank_pattern": {"down_proj": 8, "0.mlp.down_proj": 2})");
  CHECK(rules.Scale(kQ0, 16) == 24 / 4.0);
  CHECK(rules.Scale("model.layers.1.self_attn.v_proj", 16) == 5 / 4.0);
  CHECK(rules.Scale("model.layers.7.mlp.up_proj", 4) == 20);
  CHECK(rules.Rank("model.layers.0.mlp.down_proj") == 8);
  CHECK(rules.Rank(kQ0) == 16);
  // The default of PEFT's reader: alpha 8, plain scale.
  CHECK(RulesOf("").Scale(kQ0, 4) == 2);
}

TEST_CASE("configs that would merge wrongly are refused") {
  CHECK(KindOf(R"({"r": 8})") == ErrorKind::kBadInput);
  CHECK(KindOf(R"({"peft_type": "IA3"})") == ErrorKind::kUnsupported);
  for (const char* key :
       {"layer_replication", "alora_invocation_tokens", "use_qalora", "use_bdlora", "kasa_config",
        "arrow_config", "monteclora_config", "velora_config", "enable_lora"}) {
    CAPTURE(key);
    const std::string with = fmt::format(R"({{"peft_type": "LORA", "{}": )", key);
    CHECK(KindOf(with + "[1]}") == ErrorKind::kUnsupported);
    CHECK(KindOf(with + "null}") == ErrorKind{});
    CHECK(KindOf(with + "false}") == ErrorKind{});
  }
  for (const char* init : {"pissa", "pissa_niter_16", "olora", "corda", "lora_ga", "unheard-of"}) {
    CHECK(KindOf(fmt::format(R"({{"peft_type": "LORA", "init_lora_weights": "{}"}})", init)) ==
          ErrorKind::kUnsupported);
  }
  const auto loftq = ParseLoraConfig(R"({"peft_type": "LORA", "init_lora_weights": "loftq"})", "c");
  CHECK(loftq.notes.size() == 1);
}

TEST_CASE("hostile configs are errors") {
  for (const char* rest :
       {R"("r": "8")", R"("lora_alpha": [1])", R"("target_modules": [3])", R"("target_modules": 3)",
        R"("target_modules": "(")", R"("layers_to_transform": [-1])",
        R"("layers_to_transform": "x")", R"("rank_pattern": [1])", R"("alpha_pattern": {"(": 1})",
        R"("bias": "some")", R"("use_rslora": "yes")", R"("lora_alpha": 1e999)",
        R"("trainable_token_indices": {"a": [0.5]})"}) {
    CAPTURE(rest);
    const ErrorKind kind = KindOf(fmt::format(R"({{"peft_type": "LORA", {}}})", rest));
    CHECK(kind == ErrorKind::kBadInput);
  }
}

TEST_CASE("a regular expression that never ends is stopped") {
  const Regex regex("(x+x+)+[yz]", "config: target_modules");
  CHECK_THROWS_AS(regex.FullMatch(std::string(64, 'x')), Error);
}

}  // namespace
}  // namespace quern
