// Adapters as GGUF files and back, and adapters extracted from two models.
#include <doctest/doctest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <span>

#include "tests/support/logits.h"
#include "tests/support/paths.h"
#include "tests/support/process.h"

namespace quern {
namespace {

namespace fs = std::filesystem;
using testing::LargestDifference;
using testing::Quern;
using testing::QuernDone;

constexpr int kAllTokens = 4096;

std::map<int, double> Logits(std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"--tokens", "234,446,289,441,476"});
  return testing::LogitsOf(std::move(arguments), kAllTokens);
}

struct Case {
  const char* adapter;
  const char* base;
};

// Calls see(adapter's folder, base's folder, a folder to write in) for the cases that are here.
template <typename See>
void ForEachCase(std::span<const Case> cases, See see) {
  for (const Case& c : cases) {
    CAPTURE(c.adapter);
    const auto adapter = testing::Shared(std::string("models/adapters/") + c.adapter);
    const auto base = testing::Shared(std::string("models/") + c.base);
    if (adapter.empty() || base.empty()) {
      testing::SaySkipped(c.adapter);
      continue;
    }
    const testing::TempDir dir;
    see(adapter, base, dir);
  }
}

TEST_CASE("an adapter's GGUF file does what the adapter does, and so does the way back") {
  // One alpha for all; scales that differ by module; the embeddings and the output; rows of Q and K
  // as they are; a base where heads are wider.
  constexpr Case kCases[] = {{"modern", "tiny-llama"},
                             {"rslora-patterns", "families/llama-linear-bias"},
                             {"embedding", "families/mistral-headdim"},
                             {"layers-to-transform", "families/qwen3"},
                             {"regex-layers", "families/mistral-headdim"}};
  ForEachCase(kCases, [](const fs::path& adapter, const fs::path& base,
                         const testing::TempDir& dir) {
    const auto f32 = (dir / "base.gguf").string(), merged = (dir / "merged.gguf").string();
    const auto gguf = (dir / "lora.gguf").string(), back = (dir / "back").string();
    QuernDone({"convert", base.string(), "--outtype", "f32", "--outfile", f32});
    QuernDone({"merge-lora", f32, adapter.string(), merged});
    QuernDone({"convert-lora", adapter.string(), "--base", base.string(), "--outfile", gguf});
    const auto wanted = Logits({"-m", merged});
    CHECK(LargestDifference(Logits({"-m", f32, "--lora", gguf}), wanted) < 1e-3);
    QuernDone({"convert-lora", gguf, "--outfile", back});
    CHECK(LargestDifference(Logits({"-m", f32, "--lora", back}), wanted) < 1e-3);
    // A folder that has the config alone tells as much, unless the adapter brings copies of the
    // base's weights to compare; and so does a GGUF base.
    fs::create_directory(dir / "config");
    fs::copy_file(base / "config.json", dir / "config" / "config.json");
    const bool compares = adapter.filename() == "embedding";
    for (const std::string& other : {compares ? base.string() : (dir / "config").string(), f32}) {
      const auto again = (dir / "again.gguf").string();
      QuernDone({"convert-lora", adapter.string(), "--base", other, "--outfile", again, "--force"});
      CHECK(testing::ReadText(again) == testing::ReadText(gguf));
    }
    // Merges take it, too.
    const auto remerged = (dir / "remerged.gguf").string();
    QuernDone({"merge-lora", f32, gguf, remerged});
    CHECK(LargestDifference(Logits({"-m", remerged}), wanted) < 1e-3);
  });
}

TEST_CASE("what an adapter's GGUF file cannot hold is refused by name") {
  constexpr Case kCases[] = {{"dora", "families/qwen3"},
                             {"lora-bias", "families/llama-linear-bias"},
                             {"bias-all", "families/qwen2"},
                             {"grown-vocab", "families/llama-yarn-sharded"},
                             {"lm-head-tied", "families/llama3-scaled"},
                             {"trainable-tokens", "families/mistral-window"}};
  ForEachCase(
      kCases, [](const fs::path& adapter, const fs::path& base, const testing::TempDir& dir) {
        const auto out = dir / "lora.gguf";
        const auto result = Quern(
            {"convert-lora", adapter.string(), "--base", base.string(), "--outfile", out.string()});
        CHECK(result.exit_code == 4);
        CHECK(result.err.find("cannot") != std::string::npos);
        CHECK_FALSE(fs::exists(out));
      });
}

TEST_CASE("an adapter's GGUF file for another model is refused") {
  QUERN_NEEDS_SHARED(base, "models/tiny-llama");
  QUERN_NEEDS_SHARED(other, "models/families/llama-linear-bias");
  QUERN_NEEDS_SHARED(modern, "models/adapters/modern");
  testing::TempDir dir;
  const auto gguf = (dir / "lora.gguf").string(), f32 = (dir / "other.gguf").string();
  QuernDone({"convert-lora", modern.string(), "--base", base.string(), "--outfile", gguf});
  QuernDone({"convert", other.string(), "--outtype", "f32", "--outfile", f32});
  const auto result = Quern({"logits", "-m", f32, "--lora", gguf, "--tokens", "1"});
  CHECK(result.exit_code == 3);
  CHECK(result.err.find("lora_") != std::string::npos);
  CHECK(Quern({"logits", "-m", gguf, "--tokens", "1"}).exit_code >= 3);
}

TEST_CASE("the difference that a merge made is extracted again") {
  QUERN_NEEDS_SHARED(base, "models/tiny-llama");
  QUERN_NEEDS_SHARED(modern, "models/adapters/modern");
  testing::TempDir dir;
  const auto merged = (dir / "merged").string(), out = (dir / "extracted").string();
  const auto f32 = (dir / "base.gguf").string(), f32_merged = (dir / "merged.gguf").string();
  QuernDone({"merge-lora", base.string(), modern.string(), merged});
  const auto result = Quern({"extract-lora", base.string(), merged, out, "--rank", "16", "--json"});
  CAPTURE(result.err);
  REQUIRE(result.exit_code == 0);
  const auto told = nlohmann::json::parse(result.out);
  // Modules that the adapter does not touch are left out.
  CHECK(told["modules"].size() == 12);
  CHECK(told["kept"].get<double>() > 0.9);
  CHECK(told["kept"].get<double>() <= 1.0);
  QuernDone({"convert", base.string(), "--outtype", "f32", "--outfile", f32});
  const auto wanted = Logits({"-m", f32, "--lora", modern.string()});
  const auto plain = Logits({"-m", f32});
  // What is left is the rounding of the merged weights to bf16.
  CHECK(LargestDifference(Logits({"-m", f32, "--lora", out}), wanted) <
        0.05 * LargestDifference(plain, wanted));
  // GGUF models of other types and orders of rows give the same.
  QuernDone({"merge-lora", f32, modern.string(), f32_merged});
  const auto exact = (dir / "exact").string();
  QuernDone({"extract-lora", base.string(), f32_merged, exact, "--rank", "16"});
  CHECK(LargestDifference(Logits({"-m", f32, "--lora", exact}), wanted) < 1e-3);
  CHECK(Quern({"extract-lora", base.string(), base.string(), (dir / "no").string()}).exit_code ==
        3);
  CHECK_FALSE(fs::exists(dir / "no"));
}

TEST_CASE("bases in 4 bits serve as the checkpoint that they were made from") {
  QUERN_NEEDS_SHARED(plain, "models/families/qwen3");
  QUERN_NEEDS_SHARED(nf4, "models/bnb/nf4");
  QUERN_NEEDS_SHARED(adapter, "models/adapters/layers-to-transform");
  testing::TempDir dir;
  const auto one = dir / "one.gguf", two = dir / "two.gguf";
  QuernDone({"convert-lora", adapter, "--base", plain, "--outfile", one});
  QuernDone({"convert-lora", adapter, "--base", nf4, "--outfile", two});
  CHECK(testing::ReadText(one) == testing::ReadText(two));
  QuernDone({"merge-lora", nf4, adapter, dir / "merged"});
  const auto result = Quern({"extract-lora", nf4, dir / "merged", dir / "extracted", "--json"});
  CAPTURE(result.err);
  REQUIRE(result.exit_code == 0);
  const auto manifest =
      nlohmann::json::parse(testing::ReadText(dir / "merged" / "quern-merge.json"));
  CHECK(nlohmann::json::parse(result.out)["modules"].size() == manifest["deltas"].size());
}

}  // namespace
}  // namespace quern
