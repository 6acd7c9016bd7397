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
  for (const auto& [name, code] : kBad) {
    CAPTURE(name);
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
    const auto result = Quern(words);
    CAPTURE(result.err);
    CHECK(result.exit_code == 0);
  };
  const auto one = (dir / "one").string(), two = (dir / "two").string();
  merge({base.string(), Adapter("modern") + ":0.5", shout.string(), one});
  merge({"-m", base.string(), "--lora-scaled", Adapter("modern") + ":0.5," + shout.string() + ":1",
         "-o", two});
  const auto a = Checkpoint::Open(one), b = Checkpoint::Open(two);
  for (size_t t = 0; t < a->tensors().size(); ++t) CHECK(a->ReadAll(t) == b->ReadAll(t));
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
