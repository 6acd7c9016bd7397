#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "convert/checkpoint.h"
#include "gguf/gguf_reader.h"
#include "tests/support/golden_merge.h"
#include "tests/support/paths.h"
#include "tests/support/process.h"

namespace quern {
namespace {

namespace fs = std::filesystem;
using testing::NamesIn;
using testing::Quern;
using testing::QuernDone;

std::string Adapter(const std::string& name) {
  return testing::Shared("models/adapters/" + name).string();
}

TEST_CASE("merge-lora writes a HF folder") {
  QUERN_NEEDS_SHARED(base, "models/tiny-llama");
  QUERN_NEEDS_SHARED(golden, "models/adapters/modern/merged.safetensors");
  testing::TempDir dir;
  const auto out = dir / "merged";
  const auto result = Quern({"merge-lora", base.string(), Adapter("modern"), out.string()});
  CAPTURE(result.err);
  REQUIRE(result.exit_code == 0);
  CHECK(result.out.find("model.layers.5.self_attn.v_proj.weight") != std::string::npos);
  CHECK(result.out.find("12 deltas of 1 adapter, norm ") != std::string::npos);
  const auto merged = Checkpoint::Open(out);
  testing::CheckMerged(*Checkpoint::Open(base), *merged, HfBaseNames(*merged), golden);
  for (const char* name : {"config.json", "generation_config.json", "tokenizer.model",
                           "tokenizer_config.json", "special_tokens_map.json"}) {
    CAPTURE(name);
    CHECK(testing::ReadText(out / name) == testing::ReadText(base / name));
  }
  CHECK(NamesIn(dir.path()) == std::vector<std::string>{"merged"});
}

TEST_CASE("merge-lora shards by size, and does not replace what exists") {
  QUERN_NEEDS_SHARED(base, "models/tiny-llama");
  testing::TempDir dir;
  const auto out = dir / "merged";
  const std::vector<std::string> words = {"merge-lora", base.string(),      Adapter("modern"),
                                          out.string(), "--max-shard-size", "5M",
                                          "--json"};
  const auto result = Quern(words);
  CAPTURE(result.err);
  REQUIRE(result.exit_code == 0);
  CHECK(fs::exists(out / "model.safetensors.index.json"));
  CHECK(fs::exists(out / "model-00003-of-00003.safetensors"));
  const auto json = nlohmann::json::parse(result.out);
  CHECK(json["deltas"].size() == 12);
  CHECK(json["deltas"][0]["scale"] == 2);
  CHECK(json["total_norm"] > 0);
  CHECK(Quern(words).exit_code == 5);
  auto forced = words;
  forced.push_back("--force");
  CHECK(Quern(forced).exit_code == 0);
}

TEST_CASE("a bad adapter gives an error and leaves nothing") {
  QUERN_NEEDS_SHARED(base, "models/tiny-llama");
  const std::pair<const char*, int> kBad[] = {
      {"bad/untrained", 3},       {"bad/nan", 6},
      {"bad/other-model", 3},     {"bad/orphan", 3},
      {"bad/unknown-module", 3},  {"bad/not-targeted", 3},
      {"bad/zero-rank-scale", 3}, {"bad/not-lora", 4},
  };
  for (const auto& bad : kBad) {
    const auto& [name, code] = bad;
    CAPTURE(bad.first);
    testing::TempDir dir;
    const auto result =
        Quern({"merge-lora", base.string(), Adapter(name), (dir / "merged").string(), "--quiet"});
    CHECK(result.exit_code == code);
    CHECK(result.err.starts_with("error: "));
    CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
    CHECK(result.out.empty());
    CHECK(NamesIn(dir.path()).empty());
  }
}

TEST_CASE("several adapters, each with its weight") {
  QUERN_NEEDS_SHARED(base, "models/tiny-llama");
  QUERN_NEEDS_SHARED(shout, "models/adapters/shout");
  testing::TempDir dir;
  const auto merge = [&](std::vector<std::string> words) {
    words.insert(words.begin(), "merge-lora");
    QuernDone(words);
  };
  const auto one = (dir / "one").string(), two = (dir / "two").string();
  merge({base.string(), Adapter("modern") + ":0.5", shout.string(), one});
  merge({"-m", base.string(), "--lora-scaled", Adapter("modern") + ":0.5," + shout.string() + ":1",
         "-o", two});
  const auto a = Checkpoint::Open(one), b = Checkpoint::Open(two);
  for (size_t t = 0; t < a->tensors().size(); ++t) CHECK(a->ReadAll(t) == b->ReadAll(t));
}

// What the merge of one adapter writes, in HF's form and in GGUF's.
struct Kind {
  const char* adapter;
  const char* base;
};

constexpr Kind kKinds[] = {
    {"modern", "tiny-llama"},
    {"lora-bias", "families/llama-linear-bias"},
    {"layers-to-transform", "families/qwen3"},
    {"bias-all", "families/qwen2"},
    {"dora-tied-embedding", "families/qwen2"},
    {"lm-head-tied", "families/llama3-scaled"},
    {"grown-vocab", "families/llama-yarn-sharded"},
};

TEST_CASE("merging then converting equals converting then merging, and the merge in one pass") {
  for (const Kind& kind : kKinds) {
    INFO(kind.adapter);
    const auto base = testing::Shared(std::string("models/") + kind.base).string();
    const auto adapter = Adapter(kind.adapter);
    if (base.empty() || adapter.empty()) {
      testing::SaySkipped(kind.adapter);
      continue;
    }
    testing::TempDir dir;
    const auto at = [&](const char* name) { return (dir / name).string(); };
    QuernDone({"merge-lora", base, adapter, at("merged"), "--verify"});
    QuernDone({"convert", at("merged"), "--outtype", "bf16", "--outfile", at("one.gguf")});
    QuernDone({"convert", base, "--outtype", "bf16", "--outfile", at("base.gguf")});
    QuernDone({"merge-lora", at("base.gguf"), adapter, at("two.gguf"), "--verify"});
    QuernDone({"merge-lora", base, adapter, at("three.gguf"), "--outtype", "bf16"});
    QuernDone(
        {"convert", base, "--lora", adapter, "--outtype", "bf16", "--outfile", at("four.gguf")});
    const auto one = GgufModel::Open(dir / "one.gguf");
    for (const char* name : {"two.gguf", "three.gguf", "four.gguf"}) {
      INFO(name);
      const auto other = GgufModel::Open(dir / name);
      REQUIRE(one->tensors().size() == other->tensors().size());
      for (size_t t = 0; t < one->tensors().size(); ++t) {
        const TensorInfo& tensor = one->tensors()[t];
        CAPTURE(tensor.name);
        const auto index = other->Find(tensor.name);
        REQUIRE(index);
        CHECK(tensor.type == other->tensors()[*index].type);
        CHECK(tensor.shape == other->tensors()[*index].shape);
        CHECK(one->ReadAll(t) == other->ReadAll(*index));
      }
      for (const auto& entry : one->metadata().entries()) {
        const auto& [key, value] = entry;
        if (!key.starts_with("tokenizer.ggml.tok") && !key.ends_with(".vocab_size")) continue;
        CAPTURE(entry.first);
        REQUIRE(other->metadata().Has(key));
        CHECK(*other->metadata().Find(key) == value);
      }
    }
  }
}

TEST_CASE("an untied or grown model says so in its config, and has the adapter's tokenizer") {
  QUERN_NEEDS_SHARED(grown, "models/adapters/grown-vocab");
  QUERN_NEEDS_SHARED(yarn, "models/families/llama-yarn-sharded");
  QUERN_NEEDS_SHARED(tied, "models/families/llama3-scaled");
  testing::TempDir dir;
  QuernDone({"merge-lora", yarn.string(), grown.string(), (dir / "grown").string()});
  const auto config = nlohmann::json::parse(testing::ReadText(dir / "grown/config.json"));
  CHECK(config["vocab_size"] == 4099);
  CHECK(testing::ReadText(dir / "grown/tokenizer.json") ==
        testing::ReadText(grown / "tokenizer.json"));
  CHECK_FALSE(fs::exists(dir / "grown/tokenizer.model"));
  QuernDone({"merge-lora", tied.string(), Adapter("lm-head-tied"), (dir / "untied").string()});
  const auto untied = nlohmann::json::parse(testing::ReadText(dir / "untied/config.json"));
  CHECK(untied["tie_word_embeddings"] == false);
}

TEST_CASE("a quantized base needs --outtype, and keeps what the adapter does not change") {
  QUERN_NEEDS_SHARED(base, "models/tiny-llama");
  testing::TempDir dir;
  const auto in = (dir / "q.gguf").string(), out = (dir / "out.gguf").string();
  QuernDone({"convert", base.string(), "--outtype", "q8_0", "--outfile", in});
  CHECK(Quern({"merge-lora", in, Adapter("modern"), out}).exit_code == 2);
  const auto result = Quern({"merge-lora", in, Adapter("modern"), out, "--outtype", "q8_0"});
  REQUIRE(result.exit_code == 0);
  CHECK(result.err.find("encoded anew") != std::string::npos);
  const auto before = GgufModel::Open(in), after = GgufModel::Open(out);
  for (size_t t = 0; t < before->tensors().size(); ++t) {
    const std::string& name = before->tensors()[t].name;
    CAPTURE(name);
    const auto index = after->Find(name);
    REQUIRE(index);
    CHECK(after->tensors()[*index].type == before->tensors()[t].type);
    const bool changed =
        name.find("attn_q.") != std::string::npos || name.find("attn_v.") != std::string::npos;
    CHECK((before->ReadAll(t) != after->ReadAll(*index)) == changed);
  }
}

TEST_CASE("--combine makes one adapter first") {
  QUERN_NEEDS_SHARED(base, "models/tiny-llama");
  QUERN_NEEDS_SHARED(shout, "models/adapters/shout");
  testing::TempDir dir;
  const auto result = Quern({"merge-lora", base.string(), Adapter("modern") + ":0.5",
                             shout.string() + ":0.5", (dir / "merged").string(), "--combine",
                             "magnitude_prune", "--density", "0.4", "--json"});
  CAPTURE(result.err);
  REQUIRE(result.exit_code == 0);
  CHECK(nlohmann::json::parse(result.out)["deltas"].size() == 42);
  CHECK(
      Quern({"merge-lora", base.string(), shout.string(), (dir / "x").string(), "--combine", "sum"})
          .exit_code == 2);
}

TEST_CASE("merge-lora's usage errors") {
  QUERN_NEEDS_SHARED(base, "models/tiny-llama");
  testing::TempDir dir;
  const auto out = (dir / "merged").string();
  const auto code = [](std::vector<std::string> words) {
    words.insert(words.begin(), "merge-lora");
    return Quern(words).exit_code;
  };
  CHECK(code({}) == 2);
  CHECK(code({base.string(), out}) == 2);
  CHECK(code({base.string(), Adapter("modern") + ":x", out}) == 2);
  CHECK(code({base.string(), Adapter("modern") + ":0", out}) == 2);
  CHECK(code({base.string(), Adapter("modern"), out, "--outtype", "f16"}) == 2);
  CHECK(code({base.string(), Adapter("modern"), base.string(), "--force"}) == 2);
  CHECK(code({(base / "config.json").string(), Adapter("modern"), out}) == 2);
  CHECK(code({base.string(), base.string(), out}) == 3);
  CHECK(NamesIn(dir.path()).empty());
}

}  // namespace
}  // namespace quern
