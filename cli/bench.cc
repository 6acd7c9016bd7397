#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/parallel.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/json_output.h"
#include "cli/model_options.h"
#include "model/runner.h"

namespace quern::cli {
namespace {

struct Options {
  std::string model;
  int64_t prompt = 512, generate = 128, repetitions = 5;
  KvTypes cache;
  int threads = 0;
  bool json = false;
};

// Tokens whose text matters to nobody; the same in every run.
std::vector<TokenId> SomeTokens(int64_t count, int64_t vocab) {
  std::vector<TokenId> tokens;
  uint64_t state = 1;
  for (int64_t i = 0; i < count; ++i) {
    state = state * 6364136223846793005 + 1442695040888963407;
    tokens.push_back(static_cast<TokenId>((state >> 33) % static_cast<uint64_t>(vocab)));
  }
  return tokens;
}

// Seconds to read the tokens into an empty cache, the last one's logits included.
double SecondsToRead(Runner& runner, std::span<const TokenId> tokens, KvTypes cache_types) {
  const auto start = std::chrono::steady_clock::now();
  runner.LogitsAfter(tokens, cache_types);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Seconds to read them one by one, each with its logits.
double SecondsToGenerate(Runner& runner, std::span<const TokenId> tokens, KvTypes cache_types) {
  const Weights& weights = runner.weights();
  KvCache cache(weights.hyper(), std::ssize(tokens), cache_types);
  std::vector<float> logits(static_cast<size_t>(weights.vocab()));
  const auto start = std::chrono::steady_clock::now();
  for (const TokenId& token : tokens) {
    const Segment segment{&cache, {&token, 1}, 0};
    runner.forward().Logits(runner.forward().Run({&segment, 1}).data(), 1, logits.data());
  }
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Tokens per second of each repetition.
struct Rates {
  std::vector<double> all;
  double best() const { return *std::max_element(all.begin(), all.end()); }
  double median() const {
    auto sorted = all;
    std::sort(sorted.begin(), sorted.end());
    return sorted[sorted.size() / 2];
  }
};

using Measure = double (*)(Runner&, std::span<const TokenId>, KvTypes);

Rates Repeat(Runner& runner, const Options& options, int64_t count, Measure measure) {
  const auto tokens = SomeTokens(count, runner.weights().vocab());
  // A run before those that count brings the file into memory.
  measure(runner, std::span(tokens).first(std::min<size_t>(tokens.size(), 16)), options.cache);
  Rates rates;
  for (int64_t i = 0; i < options.repetitions; ++i) {
    rates.all.push_back(static_cast<double>(count) / measure(runner, tokens, options.cache));
  }
  return rates;
}

int Run(const Options& options) {
  const ThreadLimit limit(options.threads);
  const auto runner = Runner::Open(options.model);
  nlohmann::ordered_json out{{"model", options.model}, {"threads", ThreadCount()}};
  if (!options.json) fmt::print("{:10} {:>10} {:>10}\n", "tokens/s", "median", "best");
  const auto report = [&](const char* name, int64_t count, Measure measure) {
    if (count == 0) return;
    const Rates rates = Repeat(*runner, options, count, measure);
    out[name] = {{"tokens", count},
                 {"median", rates.median()},
                 {"best", rates.best()},
                 {"tokens_per_second", rates.all}};
    if (options.json) return;
    fmt::print("{:10} {:10.1f} {:10.1f}\n", fmt::format("{} {}", name, count), rates.median(),
               rates.best());
    std::fflush(stdout);
  };
  report("prefill", options.prompt, SecondsToRead);
  report("decode", options.generate, SecondsToGenerate);
  const int64_t tokens = std::max<int64_t>({options.prompt, options.generate, 1});
  const int64_t cache = KvCache(runner->weights().hyper(), tokens, options.cache).bytes();
  out["cache_bytes"] = cache;
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const double peak = static_cast<double>(usage.ru_maxrss) * 1024;
  out["peak_bytes"] = static_cast<int64_t>(peak);
  if (options.json) {
    WriteJson(out, kOneLine);
  } else {
    fmt::print("peak memory {:.0f} MB, with the parts of the file that were read\n", peak / 1e6);
    fmt::print("KV cache    {:.1f} MB for {} tokens\n", static_cast<double>(cache) / 1e6, tokens);
  }
  return 0;
}

}  // namespace

std::function<int()> DefineBench(const Arguments& arguments) {
  auto options = std::make_shared<Options>();
  arguments.Option("-m,--model", options->model, "The model, a GGUF file").Required();
  arguments.Option("-p,--n-prompt", options->prompt, "Tokens read at once; 0: none (512)")
      .Within(int64_t{0}, int64_t{1} << 20);
  arguments.Option("-n,--n-gen", options->generate, "Tokens made one by one; 0: none (128)")
      .Within(int64_t{0}, int64_t{1} << 20);
  arguments.Option("-r,--repetitions", options->repetitions, "Runs of each (5)")
      .Within(int64_t{1}, int64_t{10000});
  AddCacheTypes(arguments, options->cache);
  arguments.Threads(options->threads);
  arguments.Flag("--json", options->json, "The result as JSON");
  arguments.Footer("Example:\n  quern bench -m model-q4_k_m.gguf -p 512 -n 64 -t 2");
  return [options] { return Run(*options); };
}

}  // namespace quern::cli
