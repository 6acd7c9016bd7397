// The runner against what transformers and llama.cpp gave for the same models, through the whole
// chain: converted, quantized and run by the program.
#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "model/runner.h"
#include "tests/support/paths.h"
#include "tests/support/process.h"

namespace quern {
namespace {

using nlohmann::json;
using testing::Quern;

void Convert(const std::filesystem::path& folder, const std::filesystem::path& out,
             const std::string& type) {
  const auto result =
      Quern({"convert", folder.string(), "--outfile", out.string(), "--outtype", type});
  CAPTURE(result.err);
  REQUIRE(result.exit_code == 0);
}

std::string Joined(const std::vector<TokenId>& ids) {
  std::string text;
  for (const TokenId id : ids) text += (text.empty() ? "" : ",") + std::to_string(id);
  return text;
}

// Greedy tokens after `prompt`, whatever they are: the expected ones may go on behind an EOS.
std::vector<TokenId> Greedy(Runner& runner, const std::vector<TokenId>& prompt, size_t count) {
  KvCache cache(runner.weights().hyper(), 512, Type::kF32);
  std::vector<TokenId> made, next = prompt;
  std::vector<float> logits(static_cast<size_t>(runner.weights().vocab()));
  while (made.size() < count) {
    const Segment segment{&cache, next, static_cast<int64_t>(next.size()) - 1};
    runner.forward().Logits(runner.forward().Run({&segment, 1}).data(), 1, logits.data());
    made.push_back(Sampler({.temperature = 0}).Sample(logits));
    next = {made.back()};
  }
  return made;
}

TEST_CASE("logits and greedy continuations of every family are those of transformers") {
  QUERN_NEEDS_SHARED(families, "models/families");
  const testing::TempDir dir;
  for (const auto& entry : std::filesystem::directory_iterator(families)) {
    const std::string family = entry.path().filename().string();
    CAPTURE(family);
    const auto file = dir / (family + ".gguf");
    Convert(entry.path(), file, "f32");
    const auto runner = Runner::Open(file);
    const json expected = json::parse(testing::ReadText(entry.path() / "expected.json"));
    for (const json& c : expected["cases"]) {
      const auto ids = c["ids"].get<std::vector<TokenId>>();
      const auto result =
          Quern({"logits", "-m", file.string(), "--tokens", Joined(ids), "--top", "8", "--json"});
      REQUIRE(result.exit_code == 0);
      const json top = json::parse(result.out)["top"];
      REQUIRE(top.size() == 8);
      for (size_t i = 0; i < 8; ++i) {
        CHECK(top[i]["id"] == c["top"][i][0]);
        CHECK(std::abs(top[i]["logit"].get<double>() - c["top"][i][1].get<double>()) < 2e-3);
      }
      double sum = 0, squares = 0;
      for (const float logit : runner->LogitsAfter(ids)) {
        sum += logit;
        squares += static_cast<double>(logit) * logit;
      }
      CHECK(std::abs(sum - c["logits_sum"].get<double>()) < 0.05);
      CHECK(squares == doctest::Approx(c["logits_sumsq"].get<double>()).epsilon(1e-4));
      const auto greedy = c["greedy"].get<std::vector<TokenId>>();
      CHECK(Greedy(*runner, ids, greedy.size()) == greedy);
    }
  }
}

TEST_CASE("greedy generation of tiny-llama is that of transformers, token for token") {
  QUERN_NEEDS_SHARED(goldens, "goldens/generate.json");
  QUERN_NEEDS_SHARED(model, "models/tiny-llama");
  const testing::TempDir dir;
  Convert(model, dir / "m.gguf", "f32");
  for (const json& c : json::parse(testing::ReadText(goldens))) {
    const std::string count = std::to_string(c["ids"].size());
    const auto result =
        Quern({"run", "-m", (dir / "m.gguf").string(), "-no-cnv", "-p",
               c["prompt"].get<std::string>(), "-n", count, "--temp", "0", "--json"});
    CAPTURE(result.err);
    REQUIRE(result.exit_code == 0);
    const json made = json::parse(result.out);
    CHECK(made["prompt_ids"] == c["prompt_ids"]);
    CHECK(made["ids"] == c["ids"]);
    CHECK(made["text"] == c["text"]);
    CHECK(made["stop"] == "length");
  }
}

// The golden perplexity of a file type, or 0.
double GoldenPerplexity(const std::filesystem::path& table, const std::string& type) {
  std::istringstream lines(testing::ReadText(table));
  const std::string start = "tiny-llama," + type + ",eval-kjv.txt,";
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(start)) return std::stod(line.substr(start.size()));
  }
  return 0;
}

TEST_CASE("perplexities of tiny-llama are llama-perplexity's") {
  QUERN_NEEDS_SHARED(model, "models/tiny-llama");
  QUERN_NEEDS_SHARED(text, "models/eval-kjv.txt");
  QUERN_NEEDS_SHARED(goldens, "goldens/perplexity.csv");
  const testing::TempDir dir;
  const std::pair<const char*, double> cases[] = {
      {"F32", 0.001}, {"BF16", 0.001}, {"Q4_K_M", 0.005}, {"Q8_0", 0.005}};
  for (const auto& wanted : cases) {
    const auto& [type, tolerance] = wanted;
    CAPTURE(wanted.first);
    const auto file = dir / (std::string(type) + ".gguf");
    Convert(model, file, type);
    const auto result =
        Quern({"perplexity", "-m", file.string(), "-f", text.string(), "-c", "512"});
    CAPTURE(result.err);
    REQUIRE(result.exit_code == 0);
    const size_t at = result.out.find("Final estimate: PPL = ");
    REQUIRE(at != std::string::npos);
    CHECK(result.out.starts_with("[1]"));
    const double got = std::stod(result.out.substr(at + 22));
    CHECK(got == doctest::Approx(GoldenPerplexity(goldens, type)).epsilon(tolerance));
  }
}

TEST_CASE("a cache of q8_0 tells nearly what one of f16 does") {
  QUERN_NEEDS_SHARED(model, "models/tiny-llama");
  QUERN_NEEDS_SHARED(text, "models/eval-kjv.txt");
  const testing::TempDir dir;
  const auto file = (dir / "m.gguf").string();
  Convert(model, file, "f32");
  const auto perplexity = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"perplexity", "-m", file, "-f", text.string(), "-c", "256",
                               "--chunks", "8", "--json"});
    const auto result = Quern(more);
    CAPTURE(result.err);
    REQUIRE(result.exit_code == 0);
    return json::parse(result.out)["ppl"].get<double>();
  };
  const double usual = perplexity({});
  CHECK(perplexity({"-ctk", "f16", "-ctv", "f16"}) == usual);
  CHECK(perplexity({"--cache-type", "f32"}) == doctest::Approx(usual).epsilon(1e-4));
  const double keys = perplexity({"-ctk", "q8_0"}), both = perplexity({"--cache-type", "Q8_0"});
  CHECK(keys != usual);
  CHECK(both != keys);
  CHECK(keys == doctest::Approx(usual).epsilon(2e-3));
  CHECK(both == doctest::Approx(usual).epsilon(2e-3));
  CHECK(Quern({"perplexity", "-m", file, "-f", text.string(), "-ctk", "q4_k"}).exit_code == 2);

  const auto bench = [&](const char* type) {
    const auto result = Quern(
        {"bench", "-m", file, "-p", "16", "-n", "0", "-r", "1", "--cache-type", type, "--json"});
    REQUIRE(result.exit_code == 0);
    return json::parse(result.out)["cache_bytes"].get<int64_t>();
  };
  CHECK(bench("q8_0") * 32 == bench("f16") * 17);
}

TEST_CASE("a full context stops the generation, and says so; a text too short is refused") {
  QUERN_NEEDS_SHARED(model, "models/tiny-llama");
  const testing::TempDir dir;
  const auto file = (dir / "m.gguf").string();
  Convert(model, file, "bf16");
  const auto result =
      Quern({"run", "-m", file, "-p", "In the beginning God", "-c", "12", "--temp", "0", "--json"});
  REQUIRE(result.exit_code == 0);
  const json made = json::parse(result.out);
  CHECK(made["stop"] == "context");
  CHECK(made["ids"].size() == 12 - made["prompt_ids"].size() + 1);
  const auto a = Quern({"run", "-m", file, "-p", "Once", "-n", "9", "--seed", "7", "--json"});
  const auto b = Quern({"run", "-m", file, "-p", "Once", "-n", "9", "--seed", "7", "--json"});
  CHECK(json::parse(a.out)["ids"] == json::parse(b.out)["ids"]);

  testing::WriteText(dir / "short.txt", "too short a text");
  CHECK(Quern({"perplexity", "-m", file, "-f", (dir / "short.txt").string()}).exit_code == 2);
  CHECK(Quern({"run", "-m", file, "-p", "too long a prompt", "-c", "2"}).exit_code == 2);
  CHECK(Quern({"run", "-m", file}).exit_code == 2);
  CHECK(Quern({"logits", "-m", file, "--tokens", "1,4096"}).exit_code == 3);
  CHECK(Quern({"logits", "-m", (dir / "none.gguf").string(), "--tokens", "1"}).exit_code == 3);
}

}  // namespace
}  // namespace quern
