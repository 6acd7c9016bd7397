#include "convert/model_config.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "convert/model_keys.h"
#include "gguf/keys.h"
#include "tests/support/paths.h"

namespace quern {
namespace {

using nlohmann::json;

json Config() {
  return {{"architectures", {"LlamaForCausalLM"}},
          {"hidden_size", 64},
          {"intermediate_size", 128},
          {"num_hidden_layers", 2},
          {"num_attention_heads", 4},
          {"max_position_embeddings", 4096},
          {"vocab_size", 100}};
}

class Notes : public Progress {
 public:
  void Step(int64_t, int64_t, std::string_view) override {}
  void Note(std::string_view text) override { notes.emplace_back(text); }
  std::vector<std::string> notes;
};

ModelConfig Read(const std::string& text, Progress& progress) {
  testing::TempDir dir;
  testing::WriteText(dir / "config.json", text);
  return ReadModelConfig(dir.path(), progress);
}
ModelConfig Read(const json& config) {
  NoProgress progress;
  return Read(config.dump(), progress);
}

ErrorKind KindOf(const std::string& text) {
  NoProgress progress;
  try {
    Read(text, progress);
  } catch (const Error& error) {
    return error.kind();
  }
  FAIL("not refused: ", text);
  return ErrorKind::kUsage;
}

TEST_CASE("what config.json leaves out is as transformers has it") {
  const ModelConfig llama = Read(Config());
  CHECK(llama.head_dim == 16);
  CHECK(llama.writes_head_dim);
  CHECK(llama.kv_heads == 4);
  CHECK(llama.rms_eps == 1e-6);
  CHECK(llama.rope_theta == 10000);
  json config = Config();
  config["architectures"] = {"Qwen2ForCausalLM"};
  CHECK(!Read(config).writes_head_dim);
  config["architectures"] = {"Qwen3ForCausalLM"};
  CHECK(Read(config).head_dim == 128);
}

TEST_CASE("the older and the newer form of rope scaling say the same") {
  json older = Config();
  older["rope_theta"] = 500000.0;
  older["rope_scaling"] = {{"type", "yarn"}, {"factor", 4.0}, {"beta_fast", 32}};
  json newer = Config();
  newer["rope_parameters"] = {{"rope_type", "yarn"},
                              {"rope_theta", 500000.0},
                              {"factor", 4.0},
                              {"beta_fast", 32},
                              {"attention_factor", nullptr}};
  Metadata a, b;
  SetModelKeys(Read(older), 0, a);
  SetModelKeys(Read(newer), 0, b);
  CHECK(a.entries() == b.entries());
  CHECK(a.NeedText("llama.rope.scaling.type") == "yarn");
  CHECK(a.NeedInt("llama.rope.scaling.original_context_length") == 4096);
  CHECK(a.NeedNumber("llama.rope.scaling.yarn_beta_fast") == 32);
  CHECK(!a.Has("llama.rope.scaling.yarn_attn_factor"));
}

TEST_CASE("llama3's factors grow from 1 to the factor") {
  json config = Config();
  config["rope_scaling"] = {{"rope_type", "llama3"},
                            {"factor", 8.0},
                            {"low_freq_factor", 1.0},
                            {"high_freq_factor", 4.0},
                            {"original_max_position_embeddings", 512}};
  const auto factors = RopeFactors(Read(config));
  REQUIRE(factors.size() == 8);
  CHECK(factors.front() == 1);
  CHECK(factors.back() == 8);
  CHECK(std::is_sorted(factors.begin(), factors.end()));
  CHECK(RopeFactors(Read(Config())).empty());
}

TEST_CASE("a sliding window is noted, not refused") {
  json config = Config();
  config["architectures"] = {"MistralForCausalLM"};
  config["sliding_window"] = 1024;
  Notes notes;
  Read(config.dump(), notes);
  REQUIRE(notes.notes.size() == 1);
  CHECK(notes.notes[0].find("1024") != std::string::npos);
  config["sliding_window"] = nullptr;
  Notes none;
  Read(config.dump(), none);
  CHECK(none.notes.empty());
}

TEST_CASE("what cannot be converted is refused by name") {
  const auto with = [](const char* key, json value) {
    json config = Config();
    config[key] = std::move(value);
    return config.dump();
  };
  for (const std::string& text :
       {with("architectures", {"NoSuchForCausalLM"}), with("architectures", nullptr),
        with("architectures", json::array()), with("hidden_act", "gelu"),
        with("quantization_config", {{"quant_method", "gptq"}}),
        with("rope_scaling", {{"type", "longrope"}, {"factor", 2}}),
        with("partial_rotary_factor", 0.5)}) {
    CAPTURE(text);
    CHECK(KindOf(text) == ErrorKind::kUnsupported);
  }
}

TEST_CASE("hostile configs are errors of the input") {
  const auto with = [](const char* key, json value) {
    json config = Config();
    config[key] = std::move(value);
    return config.dump();
  };
  for (const std::string& text :
       {std::string("{"),
        std::string("[]"),
        std::string(100000, '['),
        with("hidden_size", "big"),
        with("hidden_size", 1e300),
        with("hidden_size", -64),
        with("hidden_size", 0),
        with("hidden_size", 66),
        with("hidden_size", json::object()),
        with("num_hidden_layers", 18446744073709551615u),
        with("num_hidden_layers", 1000000000),
        with("num_attention_heads", nullptr),
        with("num_key_value_heads", 3),
        with("vocab_size", 2147483648),
        with("head_dim", 15),
        with("rms_norm_eps", "x"),
        with("rope_theta", -1),
        with("rope_theta", 0),
        with("rope_scaling", 3),
        with("rope_scaling", {{"type", "linear"}}),
        with("rope_scaling", {{"type", 3}}),
        with("rope_scaling", {{"type", "linear"}, {"factor", -2}}),
        with("rope_scaling", {{"type", "llama3"}, {"factor", 2}, {"low_freq_factor", 4}}),
        with("architectures", {3}),
        with("tie_word_embeddings", 1)}) {
    CAPTURE(text.substr(0, 200));
    CHECK(KindOf(text) == ErrorKind::kBadInput);
  }
}

}  // namespace
}  // namespace quern
