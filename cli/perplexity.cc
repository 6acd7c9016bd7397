#include "model/eval/perplexity.h"

#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "base/parallel.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/json_output.h"
#include "cli/kl_divergence.h"
#include "cli/model_options.h"
#include "cli/run_time_lora.h"
#include "cli/say.h"

namespace quern::cli {
namespace {

struct Options {
  std::string model, text, logits;
  ScoringOptions method;
  int threads = 0;
  std::vector<std::string> adapters;
  bool json = false, force = false, compare = false;
};

int Run(const Options& options) {
  if (options.compare) {
    if (options.logits.empty()) {
      Fail(ErrorKind::kUsage, "--kl-divergence needs the file of --kl-divergence-base");
    }
    return RunKlDivergence({options.logits, options.model, options.text, options.method,
                            options.threads, options.json, options.adapters});
  }
  if (options.text.empty()) Fail(ErrorKind::kUsage, "a text is missing (-f)");
  const ThreadLimit limit(options.threads);
  const auto runner = OpenRunner(options.model, options.adapters);
  const Tokenizer& tokenizer = runner->tokenizer();
  const auto tokens = tokenizer.Encode(ReadFile(options.text), true, false);
  std::optional<LogitsFileWriter> save;
  if (!options.logits.empty()) {
    save.emplace(options.logits, options.force ? Overwrite::kReplace : Overwrite::kRefuse, tokens,
                 PlanChunks(std::ssize(tokens), options.method), runner->weights().vocab());
  }
  // Chunks are the result's beginning for those who read along; JSON stands alone.
  std::FILE* const where = options.json ? stderr : stdout;
  const PerplexityResult result = Perplexity(
      runner->forward(), tokens, FirstOfChunk(tokenizer), options.method,
      [&](int64_t chunk, double value) {
        std::fputs(fmt::format("[{}]{:.4f},", chunk, value).c_str(), where);
        std::fflush(where);
      },
      save ? &*save : nullptr);
  if (save) save->Commit();
  if (options.json) {
    Say("\n");
    WriteJson(nlohmann::json{{"ppl", result.perplexity},
                             {"error", result.error},
                             {"chunks", result.chunks},
                             {"scored_tokens", result.scored}},
              kOneLine);
  } else {
    fmt::print("\nFinal estimate: PPL = {:.4f} +/- {:.5f}\n", result.perplexity, result.error);
  }
  return 0;
}

}  // namespace

std::function<int()> DefinePerplexity(const Arguments& arguments) {
  auto options = std::make_shared<Options>();
  arguments.Option("-m,--model", options->model, "The model, a GGUF file").Required();
  AddLora(arguments, options->adapters);
  arguments.Option("-f,--file", options->text, "The text, UTF-8");
  AddScoring(arguments, options->method);
  arguments.Option("--save-all-logits,--kl-divergence-base", options->logits,
                   "Write the log probabilities to this file, as llama-perplexity does; with "
                   "--kl-divergence: read them");
  arguments.Flag("--kl-divergence", options->compare,
                 "Compare with the predictions in the file of --kl-divergence-base");
  arguments.Flag("--force", options->force, "Replace an existing file of logits");
  arguments.Threads(options->threads);
  arguments.Flag("--json", options->json, "The result as JSON");
  arguments.Footer(
      "Examples:\n  quern perplexity -m model-q4_k_m.gguf -f wiki.test.raw -c 512\n"
      "  quern perplexity -m model-bf16.gguf -f text.txt --save-all-logits model.logits");
  return [options] { return Run(*options); };
}

}  // namespace quern::cli
