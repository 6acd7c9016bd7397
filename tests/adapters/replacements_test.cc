// Adapters that are more than A and B of linear layers: DoRA, embeddings, whole modules, tokens,
// biases; and the output of a tied model.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

#include "adapters/merged_source.h"
#include "base/error.h"
#include "tests/support/memory_source.h"

namespace quern {
namespace {

using testing::MemorySource;
using testing::MemoryTensor;
using Floats = std::vector<float>;

constexpr const char* kPrefix = "base_model.model.";

// A vocabulary of 3, 2 wide; a linear layer with a bias.
std::shared_ptr<MemorySource> Base(bool tied) {
  std::vector<MemoryTensor> tensors = {{"model.embed_tokens.weight", {2, 3}, {1, 2, 3, 4, 5, 6}},
                                       {"model.up.weight", {2, 2}, {3, 4, 6, 8}},
                                       {"model.up.bias", {2}, {1, 2}}};
  if (!tied) tensors.push_back({"lm_head.weight", {2, 3}, {10, 20, 30, 40, 50, 60}});
  return std::make_shared<MemorySource>("base", std::move(tensors));
}

// Names are without "base_model.model.".
std::shared_ptr<LoraAdapter> Adapter(std::vector<MemoryTensor> tensors, const std::string& more) {
  for (MemoryTensor& tensor : tensors) tensor.name.insert(0, kPrefix);
  return std::make_shared<LoraAdapter>(
      ParseLoraConfig(R"({"peft_type": "LORA", "r": 1, "lora_alpha": 1)" + more + "}", "config"),
      std::make_shared<MemorySource>("adapter", std::move(tensors)));
}

struct Merge {
  std::shared_ptr<MemorySource> base;
  std::unique_ptr<MergedSource> source;

  Merge(bool tied, std::vector<MemoryTensor> tensors, const std::string& more, double weight = 1)
      : base(Base(tied)) {
    const std::vector<WeightedAdapter> adapters = {{Adapter(std::move(tensors), more), weight}};
    source = std::make_unique<MergedSource>(base, HfBaseNames(*base), adapters);
  }
  Floats operator[](const char* name) const {
    const auto index = source->Find(name);
    REQUIRE(index);
    const auto bytes = source->ReadAll(*index);
    Floats floats(bytes.size() / sizeof(float));
    std::memcpy(floats.data(), bytes.data(), bytes.size());
    return floats;
  }
};

std::string Refusal(bool tied, std::vector<MemoryTensor> tensors, const std::string& more,
                    double weight = 1) {
  try {
    const Merge merge(tied, std::move(tensors), more, weight);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

bool Contains(const std::string& text, const char* part) {
  CAPTURE(text);
  return text.find(part) != std::string::npos;
}

const MemoryTensor kA{"model.up.lora_A.weight", {2, 1}, {1, 0}};
const MemoryTensor kB{"model.up.lora_B.weight", {1, 2}, {0, 0}};

TEST_CASE("DoRA of a linear layer scales each row to its magnitude") {
  const MemoryTensor magnitude{"model.up.lora_magnitude_vector", {2}, {10, 5}};
  const Merge merge(false, {kA, kB, magnitude}, R"(, "use_dora": true)");
  CHECK(merge["model.up.weight"] == Floats{6, 8, 3, 4});
  CHECK(merge.source->report().deltas[0].kind == "DoRA");
  CHECK(merge.source->report().deltas[0].norm == doctest::Approx(std::sqrt(50.0)));
  CHECK(Contains(Refusal(false, {kA, kB, magnitude}, ""), "no use_dora"));
  CHECK(Contains(Refusal(false, {kA, kB}, R"(, "use_dora": true)"), "no lora_magnitude_vector"));
  CHECK(
      Contains(Refusal(false, {kA, kB, {magnitude.name, {3}, {1, 2, 3}}}, R"(, "use_dora": true)"),
               "has 3 magnitudes"));
}

TEST_CASE("LoRA of embeddings, and what PEFT saves beside it") {
  const MemoryTensor a{"model.embed_tokens.lora_embedding_A", {3, 1}, {1, 0, -1}};
  const MemoryTensor b{"model.embed_tokens.lora_embedding_B", {1, 2}, {2, 3}};
  MemoryTensor copy{"model.embed_tokens.base_layer.weight", {2, 3}, {1, 2, 3, 4, 5, 6}};
  const Merge merge(false, {a, b, copy}, "");
  CHECK(merge["model.embed_tokens.weight"] == Floats{3, 5, 3, 4, 3, 3});
  CHECK_FALSE(merge.source->report().untied);
  CHECK(merge.source->report().notes.empty());
  copy.values[4] = 7;
  const Merge other(false, {a, b, copy}, "");
  CHECK(other["model.embed_tokens.weight"] == Floats{3, 5, 3, 4, 3, 3});
  REQUIRE(other.source->report().notes.size() == 1);
  CHECK(Contains(other.source->report().notes[0], "differs from the base's"));
}

TEST_CASE("touching one side of a tied pair gives the output a tensor of its own") {
  const MemoryTensor a{"lm_head.lora_A.weight", {2, 1}, {1, 0}};
  const MemoryTensor b{"lm_head.lora_B.weight", {1, 3}, {1, 1, 1}};
  const Merge out(true, {a, b}, "");
  CHECK(out.source->tensors()[0].name == "lm_head.weight");
  CHECK(out["lm_head.weight"] == Floats{2, 2, 4, 4, 6, 6});
  CHECK(out["model.embed_tokens.weight"] == Floats{1, 2, 3, 4, 5, 6});
  CHECK(out.source->report().untied);

  const MemoryTensor saved{"model.embed_tokens.weight", {2, 3}, {9, 9, 9, 9, 9, 9}};
  const Merge in(true, {saved, kA, {kB.name, {1, 2}, {1, 0}}},
                 R"(, "modules_to_save": ["embed_tokens"])");
  CHECK(in["lm_head.weight"] == Floats{1, 2, 3, 4, 5, 6});
  CHECK(in["model.embed_tokens.weight"] == Floats{9, 9, 9, 9, 9, 9});
  CHECK(Contains(Refusal(true, {a, b}, R"(, "ensure_weight_tying": true)"), "ensure_weight_tying"));
  // Trained tied, each side has a pair of its own (here the transposes of each other's).
  const Merge tied(true,
                   {{"model.embed_tokens.lora_embedding_A", {3, 1}, {1, 0, -1}},
                    {"model.embed_tokens.lora_embedding_B", {1, 2}, {2, 3}},
                    {"lm_head.lora_A.weight", {2, 1}, {2, 3}},
                    {"lm_head.lora_B.weight", {1, 3}, {1, 0, -1}}},
                   R"(, "ensure_weight_tying": true, "target_modules": ["embed_tokens"])");
  CHECK(tied["model.embed_tokens.weight"] == tied["lm_head.weight"]);
}

TEST_CASE("whole modules replace the base's, and may make the vocabulary longer") {
  const std::string config = R"(, "modules_to_save": ["embed_tokens", "lm_head"])";
  const MemoryTensor in{"model.embed_tokens.weight", {2, 4}, {1, 2, 3, 4, 5, 6, 7, 8}};
  const MemoryTensor out{"lm_head.weight", {2, 4}, {0, 0, 0, 0, 0, 0, 0, 1}};
  MemoryTensor twin{"lm_head.modules_to_save.weight", out.shape, out.values};
  const MemoryTensor original{"lm_head.original_module.weight", {2, 4}, Floats(8, 3)};
  const Merge merge(false, {in, out, twin, original}, config);
  CHECK(merge["model.embed_tokens.weight"] == in.values);
  CHECK(merge["lm_head.weight"] == out.values);
  CHECK(merge.source->report().vocab == 4);
  CHECK(merge.source->report().vocab_adapter == "adapter");

  const std::string only_in = R"(, "modules_to_save": ["embed_tokens"])";
  CHECK(Contains(Refusal(false, {in}, only_in), "grows only one"));
  CHECK(Contains(Refusal(false, {in}, config), "no tensors for 'lm_head', which config saves"));
  CHECK(Contains(Refusal(false, {in, out}, config, 0.5), "weight of 0.5"));
  CHECK(Contains(Refusal(false, {in, {out.name, {1, 4}, Floats(4)}}, config), "lm_head.weight"));
  twin.values[0] = 5;
  CHECK(Contains(Refusal(false, {in, out, twin}, config), "should be equal"));
  CHECK(
      Contains(Refusal(false, {{"model.up.weight", {2, 2}, Floats(4)}, kA, kB}, ""), "has no use"));

  // Fewer rows than the base's: nothing shrinks.
  const Merge shorter(false, {{in.name, {2, 2}, {7, 7, 7, 7}}}, only_in);
  CHECK(shorter["model.embed_tokens.weight"] == Floats{7, 7, 7, 7, 5, 6});
}

TEST_CASE("trained tokens replace their rows") {
  const std::string config = R"(, "trainable_token_indices": {"embed_tokens": [2, 0]})";
  const MemoryTensor rows{
      "model.embed_tokens.token_adapter.trainable_tokens_delta", {2, 2}, {20, 21, 1, 1}};
  const Merge merge(true, {rows}, config);
  CHECK(merge["model.embed_tokens.weight"] == Floats{1, 1, 3, 4, 20, 21});
  CHECK_FALSE(merge.source->report().untied);
  CHECK(Contains(Refusal(true, {rows}, R"(, "trainable_token_indices": [2, 3])"), "has 3"));
  CHECK(Contains(Refusal(true, {rows}, R"(, "trainable_token_indices": [1, 1])"), "1 twice"));
  CHECK(Contains(Refusal(true, {rows}, R"(, "trainable_token_indices": [1])"), "1 tokens"));
  CHECK(Contains(Refusal(true, {rows}, ""), "has no use"));
}

TEST_CASE("trained biases replace the base's") {
  const MemoryTensor bias{"model.up.base_layer.bias", {2}, {7, 8}};
  const Merge merge(false, {kA, kB, bias}, R"(, "bias": "lora_only")");
  CHECK(merge["model.up.bias"] == Floats{7, 8});
  const Merge all(false, {kA, kB, {"model.up.bias", {2}, {7, 8}}}, R"(, "bias": "all")");
  CHECK(all["model.up.bias"] == Floats{7, 8});
  CHECK(Contains(Refusal(false, {kA, kB, bias}, ""), "has no use"));
  CHECK(Contains(Refusal(false, {kA, kB, {bias.name, {3}, {1, 2, 3}}}, R"(, "bias": "all")"),
                 "base_layer.bias' is 3"));
}

TEST_CASE("experts are refused by name") {
  CHECK(Contains(Refusal(false, {kA, kB}, R"(, "target_parameters": ["experts.gate_up_proj"])"),
                 "target_parameters"));
}

TEST_CASE("a whole module that was trained tied stays tied") {
  const MemoryTensor saved{"model.embed_tokens.weight", {2, 3}, {9, 8, 7, 6, 5, 4}};
  MemoryTensor output{"lm_head.weight", {2, 3}, {9, 8, 7, 6, 5, 4}};
  const std::string more =
      R"(, "modules_to_save": ["embed_tokens", "lm_head"], "ensure_weight_tying": true)";
  const Merge merge(true, {saved, output}, more);
  CHECK(merge["model.embed_tokens.weight"] == saved.values);
  CHECK_FALSE(merge.source->Find("lm_head.weight"));
  CHECK_FALSE(merge.source->report().untied);
  output.values[0] = 1;
  CHECK(Contains(Refusal(true, {saved, output}, more), "'base_model.model.lm_head.weight'"));
  // Without the flag the output keeps the base's embeddings.
  const Merge untied(true, {saved}, R"(, "modules_to_save": ["embed_tokens"])");
  CHECK(untied["lm_head.weight"] == Floats{1, 2, 3, 4, 5, 6});
}

TEST_CASE("tokens that were added to the vocabulary and trained") {
  const Floats grown = {1, 2, 3, 4, 5, 6, 7, 7, 8, 8};
  const MemoryTensor in{"model.embed_tokens.token_adapter.base_layer.weight", {2, 5}, grown};
  const MemoryTensor rows{
      "model.embed_tokens.token_adapter.trainable_tokens_delta", {2, 2}, {9, 9, 0, 0}};
  MemoryTensor out = in, out_rows = rows;
  out.name = "lm_head.token_adapter.base_layer.weight";
  out_rows.name = "lm_head.token_adapter.trainable_tokens_delta";
  const std::string config = R"(, "trainable_token_indices": [4, 1])";
  const Merge tied(true, {in, rows, out, out_rows}, config);
  CHECK(tied["model.embed_tokens.weight"] == Floats{1, 2, 0, 0, 5, 6, 7, 7, 9, 9});
  CHECK_FALSE(tied.source->Find("lm_head.weight"));
  CHECK(tied.source->report().vocab == 5);
  // Of an untied model the output is saved as it is, or has tokens of its own.
  const MemoryTensor saved{"lm_head.weight", {2, 5}, Floats(10, 3)};
  CHECK(Merge(false, {in, rows, saved}, config)["lm_head.weight"] == saved.values);
  const Merge both(false, {in, rows, out, out_rows},
                   R"(, "trainable_token_indices": {"embed_tokens": [4, 1], "lm_head": [0, 3]})");
  CHECK(both["lm_head.weight"] == Floats{9, 9, 3, 4, 5, 6, 0, 0, 8, 8});
  // What is said to be the same and is not, or a token that even the copy has not.
  out_rows.values[0] = 1;
  CHECK(Contains(Refusal(true, {in, rows, out, out_rows}, config), "lm_head.token_adapter"));
  CHECK(Contains(Refusal(false, {in, rows, saved}, R"(, "trainable_token_indices": [5, 1])"),
                 "trainable_token_indices has 5"));
}

TEST_CASE("the delta of a parameter is rounded before it is added, as PEFT does") {
  const auto base = std::make_shared<MemorySource>(
      "base", std::vector<MemoryTensor>{{"model.up.weight", {1, 1}, {1}}});
  BaseNames names = HfBaseNames(*base);
  names.tensors[0].precision = Type::kBF16;
  const auto merged = [&](const char* config) {
    // A little more than half a step of bf16 at 1.
    const std::vector<WeightedAdapter> adapters = {
        {Adapter({{"model.up.lora_A.weight", {1, 1}, {1}},
                  {"model.up.lora_B.weight", {1, 1}, {0x1p-8f + 0x1p-16f}}},
                 config)}};
    const auto bytes = MergedSource(base, names, adapters).ReadAll(0);
    float value = 0;
    std::memcpy(&value, bytes.data(), sizeof(value));
    return value;
  };
  CHECK(merged(R"(, "target_modules": ["up"])") == 1 + 0x1p-7f);
  CHECK(merged(R"(, "target_parameters": ["up.weight"])") == 1);
  // The embeddings of a tied model are untied, as always where one side is touched.
  const Merge tied(true,
                   {{"model.embed_tokens.lora_A.weight", {2, 1}, {1, 0}},
                    {"model.embed_tokens.lora_B.weight", {1, 3}, {1, 1, 1}}},
                   R"(, "target_parameters": ["embed_tokens.weight"])");
  CHECK(tied["model.embed_tokens.weight"] == Floats{2, 2, 4, 4, 6, 6});
  CHECK(tied["lm_head.weight"] == Floats{1, 2, 3, 4, 5, 6});
}

}  // namespace
}  // namespace quern
