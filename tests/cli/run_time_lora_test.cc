// Adapters applied while a model runs: the logits that PEFT gives, without a file written.
#include <doctest/doctest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "tests/support/logits.h"
#include "tests/support/paths.h"
#include "tests/support/process.h"

namespace quern {
namespace {

namespace fs = std::filesystem;
using testing::JoinedIds;
using testing::LargestDifference;
using testing::LogitsOf;
using testing::Quern;

void Convert(const fs::path& folder, const std::string& type, const std::string& out) {
  testing::QuernDone({"convert", folder.string(), "--outtype", type, "--outfile", out});
}

TEST_CASE("adapters at run time give the logits of PEFT") {
  QUERN_NEEDS_SHARED(index, "models/adapters/index.json");
  const auto entries = nlohmann::json::parse(testing::ReadText(index));
  int checked = 0;
  for (const auto& [name, entry] : entries.items()) {
    const auto& golden = entry.contains("same_as") ? entries[std::string(entry["same_as"])] : entry;
    if (!golden.contains("logits")) continue;
    const std::string adapter_name = name;  // Clang 14 captures no structured bindings
    INFO(adapter_name);
    const auto base = testing::Shared("models/" + entry["base"].get<std::string>());
    const auto adapter = testing::Shared("models/adapters/" + name);
    if (base.empty() || adapter.empty()) {
      testing::SaySkipped(name);
      continue;
    }
    testing::TempDir dir;
    const auto f32 = (dir / "base.gguf").string();
    Convert(base, "f32", f32);
    std::map<int, double> wanted;
    for (const auto& [id, logit] : golden["logits"]["top"].items()) {
      wanted[logit[0].get<int>()] = logit[1].get<double>();
    }
    const auto logits = LogitsOf(
        {"-m", f32, "--lora", adapter.string(), "--tokens", JoinedIds(golden["logits"]["ids"])}, 8);
    CHECK(LargestDifference(logits, wanted) < 2e-4);
    ++checked;
  }
  CHECK(checked > 0);
}

TEST_CASE("several adapters add up, each with its scale") {
  QUERN_NEEDS_SHARED(base, "models/tiny-llama");
  QUERN_NEEDS_SHARED(modern, "models/adapters/modern");
  QUERN_NEEDS_SHARED(shout, "models/adapters/shout");
  testing::TempDir dir;
  const auto f32 = (dir / "base.gguf").string(), merged = (dir / "merged.gguf").string();
  Convert(base, "f32", f32);
  const std::string half = shout.string() + ":-0.5";
  REQUIRE(Quern({"merge-lora", f32, modern.string(), half, merged}).exit_code == 0);
  const auto wanted = LogitsOf({"-m", merged, "--tokens", "1,681,262"}, 4096);
  const auto plain = LogitsOf({"-m", f32, "--tokens", "1,681,262"}, 4096);
  const auto repeated = LogitsOf(
      {"-m", f32, "--lora", modern.string(), "--lora", half, "--tokens", "1,681,262"}, 4096);
  const auto listed = LogitsOf(
      {"-m", f32, "--lora-scaled", modern.string() + ":1," + half, "--tokens", "1,681,262"}, 4096);
  CHECK(LargestDifference(repeated, wanted) < 1e-4);
  CHECK(listed == repeated);
  CHECK(LargestDifference(plain, wanted) > 0.1);
}

TEST_CASE("a quantized base keeps its weights beside the adapter") {
  QUERN_NEEDS_SHARED(base, "models/tiny-llama");
  QUERN_NEEDS_SHARED(modern, "models/adapters/modern");
  testing::TempDir dir;
  const auto q8 = (dir / "q8.gguf").string(), merged = (dir / "merged.gguf").string();
  Convert(base, "q8_0", q8);
  // What the base's weights decode to, and the adapter, merged in float32.
  REQUIRE(Quern({"merge-lora", q8, modern.string(), merged, "--outtype", "f32"}).exit_code == 0);
  const auto wanted = LogitsOf({"-m", merged, "--tokens", "1,681,262"}, 4096);
  const auto at_run_time =
      LogitsOf({"-m", q8, "--lora", modern.string(), "--tokens", "1,681,262"}, 4096);
  const auto plain = LogitsOf({"-m", q8, "--tokens", "1,681,262"}, 4096);
  // The activations may be rounded to 8 bits where they meet the quantized weights.
  CHECK(LargestDifference(at_run_time, wanted) < 0.15);
  CHECK(LargestDifference(plain, wanted) > 1);
}

TEST_CASE("what measures a model measures it with its adapters, as it does their merge") {
  QUERN_NEEDS_SHARED(base, "models/tiny-llama");
  QUERN_NEEDS_SHARED(modern, "models/adapters/modern");
  QUERN_NEEDS_SHARED(text, "models/eval-kjv.txt");
  testing::TempDir dir;
  const auto f32 = (dir / "base.gguf").string(), merged = (dir / "merged.gguf").string();
  Convert(base, "f32", f32);
  REQUIRE(Quern({"merge-lora", f32, modern.string(), merged}).exit_code == 0);
  const auto figures = [&](std::vector<std::string> arguments, int exit_code = 0) {
    for (const char* more : {"-f", text.c_str(), "-c", "64", "--chunks", "3", "--json"}) {
      arguments.emplace_back(more);
    }
    const auto result = Quern(arguments);
    CAPTURE(result.err);
    REQUIRE(result.exit_code == exit_code);
    return nlohmann::json::parse(result.out);
  };
  const std::string lora = modern.string();
  const auto divergence = [&](const nlohmann::json& found) {
    return found["kld"]["mean"].get<double>();
  };
  CHECK(divergence(figures({"kl-divergence", merged, f32})) > 0.01);
  CHECK(divergence(figures({"kl-divergence", merged, f32, "--lora", lora})) < 1e-6);
  CHECK(divergence(figures({"kl-divergence", f32, merged, "--base-lora", lora})) < 1e-6);
  const auto logits = (dir / "m.logits").string();
  figures({"perplexity", "-m", f32, "--lora", lora, "--save-all-logits", logits});
  // A file of logits has 16 bits for each.
  CHECK(divergence(figures({"kl-divergence", logits, f32, "--lora", lora})) < 1e-5);
  CHECK(Quern({"kl-divergence", logits, f32, "--base-lora", lora}).exit_code == 2);

  // verify compares the tensors as they would be merged, too.
  const auto verify = [&](std::vector<std::string> more, int exit_code = 0) {
    more.insert(more.begin(), {"verify", "--max-kld", "0.001"});
    return figures(more, exit_code);
  };
  verify({merged, f32}, 7);
  const auto verified = verify({f32, merged, "--reference-lora", lora});
  CHECK(verified["reference"]["adapters"][0] == lora);
  for (const auto& tensor : verified["tensors"]) {
    CHECK(tensor["error"]["relative"].get<double>() < 1e-6);
  }
  CHECK(divergence(verify({merged, f32, "--lora", lora})) < 1e-6);

  const auto imatrix = [&](std::vector<std::string> arguments) {
    const auto out = (dir / "i.dat").string();
    for (const char* more :
         {"-f", text.c_str(), "-c", "64", "--chunks", "3", "-q", "--force", "-o", out.c_str()}) {
      arguments.emplace_back(more);
    }
    arguments.insert(arguments.begin(), "imatrix");
    REQUIRE(Quern(arguments).exit_code == 0);
    const auto shown = Quern({"imatrix", "--in-file", out, "--show-statistics", "--json"});
    std::map<std::string, double> sums;
    const auto statistics = nlohmann::json::parse(shown.out);
    for (const auto& tensor : statistics["tensors"]) {
      sums[tensor["name"].get<std::string>()] = tensor["sum"].get<double>();
    }
    return sums;
  };
  const auto wanted = imatrix({"-m", merged}), got = imatrix({"-m", f32, "--lora", lora});
  REQUIRE(wanted.size() == got.size());
  for (const auto& [name, sum] : wanted) {
    CHECK(got.at(name) == doctest::Approx(sum).epsilon(1e-4));
  }
  CHECK(imatrix({"-m", f32}) != got);
}

TEST_CASE("an adapter that does not belong to the base is refused at run time") {
  QUERN_NEEDS_SHARED(base, "models/tiny-llama");
  QUERN_NEEDS_SHARED(index, "models/adapters/index.json");
  testing::TempDir dir;
  const auto f32 = (dir / "base.gguf").string();
  Convert(base, "f32", f32);
  const auto entries = nlohmann::json::parse(testing::ReadText(index));
  for (const auto& [name, entry] : entries.items()) {
    if (!entry.contains("refused")) continue;
    const auto adapter = testing::Shared("models/adapters/" + name);
    if (adapter.empty()) continue;
    const std::string adapter_name = name;
    CAPTURE(adapter_name);
    const auto result =
        Quern({"logits", "-m", f32, "--lora", adapter.string(), "--tokens", "1,681,262"});
    CHECK(result.exit_code >= 3);
    CHECK(result.exit_code <= 6);
    CHECK(result.out.empty());
  }
  CHECK(Quern({"logits", "-m", f32, "--lora", f32, "--tokens", "1"}).exit_code == 3);
}

}  // namespace
}  // namespace quern
