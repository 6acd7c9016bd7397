#include "model/perplexity.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/parallel.h"
#include "cli/commands.h"
#include "cli/model_options.h"
#include "cli/say.h"
#include "model/runner.h"

namespace quern::cli {
namespace {

struct Options {
  std::string model, text;
  ScoringOptions method;
  int threads = 0;
  bool json = false;
};

int Run(const Options& options) {
  const ThreadLimit limit(options.threads);
  const auto runner = Runner::Open(options.model);
  const Tokenizer& tokenizer = runner->tokenizer();
  const auto tokens = tokenizer.Encode(ReadFile(options.text), true, false);
  const TokenId bos = tokenizer.adds_bos() ? tokenizer.bos() : -1;
  const PerplexityResult result =
      Perplexity(runner->forward(), tokens, bos, options.method, [&](int64_t chunk, double value) {
        // Chunks are the result's beginning for those who read along; JSON stands alone.
        fmt::print(options.json ? stderr : stdout, "[{}]{:.4f},", chunk, value);
        std::fflush(options.json ? stderr : stdout);
      });
  if (options.json) {
    Say("\n");
    fmt::print("{}\n", nlohmann::json{{"ppl", result.perplexity},
                                      {"error", result.error},
                                      {"chunks", result.chunks},
                                      {"scored_tokens", result.scored}}
                           .dump());
  } else {
    fmt::print("\nFinal estimate: PPL = {:.4f} +/- {:.5f}\n", result.perplexity, result.error);
  }
  return 0;
}

}  // namespace

std::function<int()> DefinePerplexity(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("-m,--model", options->model, "The model, a GGUF file")->required();
  app.add_option("-f,--file", options->text, "The text, UTF-8")->required();
  AddScoring(app, options->method);
  app.add_option("-t,--threads", options->threads, "Threads; all cores by default");
  app.add_flag("--json", options->json, "The result as JSON");
  app.footer("Example:\n  quern perplexity -m model-q4_k_m.gguf -f wiki.test.raw -c 512");
  return [options] { return Run(*options); };
}

}  // namespace quern::cli
