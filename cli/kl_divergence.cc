#include "cli/kl_divergence.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "base/parallel.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/divergence_output.h"
#include "cli/json_output.h"
#include "cli/model_options.h"
#include "cli/run_time_lora.h"
#include "cli/say.h"
#include "model/eval/divergence.h"
#include "model/runner.h"

namespace quern::cli {
namespace {

struct Outcome {
  Divergence divergence;
  ProductTypes candidate;
  std::optional<ProductTypes> base;  // of a model, not of a file of logits
};

Outcome Compare(const KlDivergenceOptions& options) {
  const auto on_chunk = [](int64_t chunk, double mean) { Say("[{}]{:.6f},", chunk, mean); };
  const auto candidate = OpenRunner(options.candidate, options.adapters);
  if (LogitsFile::Is(options.base)) {
    if (!options.base_adapters.empty()) {
      Fail(ErrorKind::kUsage, "{} is a file of logits, to which no adapter can be applied",
           options.base);
    }
    const LogitsFile base(options.base);
    return {CompareWithLogits(base, candidate->forward(), FirstOfChunk(candidate->tokenizer()),
                              options.method.cache, on_chunk),
            ProductTypesOf(candidate->weights()), std::nullopt};
  }
  if (options.text.empty()) {
    Fail(ErrorKind::kUsage, "a text is missing (-f): {} is no file of logits, which brings its own",
         options.base);
  }
  const auto base = OpenRunner(options.base, options.base_adapters);
  const auto tokens = base->tokenizer().Encode(ReadFile(options.text), true, false);
  return {CompareModels(base->forward(), candidate->forward(), tokens,
                        FirstOfChunk(base->tokenizer()), options.method, on_chunk),
          ProductTypesOf(candidate->weights()), ProductTypesOf(base->weights())};
}

}  // namespace

int RunKlDivergence(const KlDivergenceOptions& options) {
  const ThreadLimit limit(options.threads);
  const Outcome outcome = Compare(options);
  Say("\n");
  if (options.json) {
    nlohmann::json out = JsonOf(outcome.divergence);
    out["activations"]["candidate"] = JsonOf(outcome.candidate);
    if (outcome.base) out["activations"]["base"] = JsonOf(*outcome.base);
    WriteJson(out, kOneLine);
    return 0;
  }
  PrintText(outcome.divergence);
  fmt::print("\nActivations of the candidate: {}\n", TextOf(outcome.candidate));
  if (outcome.base) fmt::print("Activations of the base:      {}\n", TextOf(*outcome.base));
  return 0;
}

std::function<int()> DefineKlDivergence(const Arguments& arguments) {
  auto options = std::make_shared<KlDivergenceOptions>();
  arguments
      .Option("BASE", options->base,
              "The model to compare with: a GGUF file, or a file of logits that perplexity "
              "--save-all-logits wrote, ours or llama.cpp's")
      .Required();
  arguments.Option("CANDIDATE", options->candidate, "The model to judge, a GGUF file").Required();
  arguments.Option("-f,--file", options->text, "The text, UTF-8; a file of logits brings its own");
  AddLora(arguments, options->adapters, "--lora", "CANDIDATE");
  AddLora(arguments, options->base_adapters, "--base-lora", "BASE");
  AddScoring(arguments, options->method);
  arguments.Threads(options->threads);
  arguments.Flag("--json", options->json, "The result as JSON");
  arguments.Footer(
      "Products with some types round activations to 8 bits, which adds to the divergence; the\n"
      "result tells which types of the files do.\n\n"
      "Examples:\n  quern kl-divergence model-bf16.gguf model-q4_k_m.gguf -f text.txt\n"
      "  quern kl-divergence model-bf16.logits model-q4_k_m.gguf");
  return [options] { return RunKlDivergence(*options); };
}

}  // namespace quern::cli
