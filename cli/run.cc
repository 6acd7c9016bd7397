#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <random>

#include "base/error.h"
#include "base/file.h"
#include "base/parallel.h"
#include "cli/commands.h"
#include "cli/model_options.h"
#include "cli/run_time_lora.h"
#include "cli/say.h"

namespace quern::cli {
namespace {

struct Options {
  std::string model, prompt, file;
  GenerateOptions generate;
  int64_t seed = -1;
  std::vector<std::string> adapters;
  int threads = 0;
  bool json = false, no_display_prompt = false, no_conversation = false;
};

const char* NameOf(StopReason reason) {
  switch (reason) {
    case StopReason::kEndOfGeneration:
      return "eog";
    case StopReason::kLength:
      return "length";
    case StopReason::kContext:
      return "context";
    case StopReason::kCancelled:
      return "cancelled";
  }
  return "?";
}

double Rate(size_t tokens, double seconds) {
  return seconds > 0 ? static_cast<double>(tokens) / seconds : 0.0;
}

void PrintJson(const Tokenizer& tokenizer, const std::vector<TokenId>& prompt,
               const Generated& result, uint32_t seed) {
  // Not Decode, which takes a leading space for the beginning of a text.
  std::string text;
  for (const TokenId id : result.tokens) text += tokenizer.Piece(id);
  const nlohmann::json out{{"prompt_ids", prompt},
                           {"ids", result.tokens},
                           {"text", text},
                           {"stop", NameOf(result.reason)},
                           {"seed", seed},
                           {"prompt_tokens_per_second", Rate(prompt.size(), result.prompt_seconds)},
                           {"tokens_per_second", Rate(result.tokens.size(), result.seconds)}};
  // A generation may end in the middle of a character.
  fmt::print("{}\n", out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

int Run(Options& options) {
  const ThreadLimit limit(options.threads);
  if (options.prompt.empty() == options.file.empty()) {
    Fail(ErrorKind::kUsage, "give a prompt, either by -p or by -f");
  }
  if (!options.file.empty()) options.prompt = ReadFile(options.file);
  const uint32_t seed =
      options.seed < 0 ? std::random_device()() : static_cast<uint32_t>(options.seed);
  options.generate.sampler.seed = seed;

  const auto runner = OpenRunner(options.model, options.adapters);
  const Tokenizer& tokenizer = runner->tokenizer();
  const auto prompt = tokenizer.Encode(options.prompt, true, true);
  if (!options.json && !options.no_display_prompt) fmt::print("{}", options.prompt);
  const Generated result = runner->Generate(prompt, options.generate, [&](TokenId id) {
    if (!options.json) {
      fmt::print("{}", tokenizer.Piece(id));
      std::fflush(stdout);
    }
    return true;
  });
  if (options.json) {
    PrintJson(tokenizer, prompt, result, seed);
    return 0;
  }
  fmt::print("\n");
  if (result.reason == StopReason::kContext) {
    Say("note: the context is full after {} tokens; -c gives more room\n",
        prompt.size() + result.tokens.size());
  }
  Say("prompt: {} tokens, {:.1f} per second; generated: {}, {:.1f} per second\n", prompt.size(),
      Rate(prompt.size(), result.prompt_seconds), result.tokens.size(),
      Rate(result.tokens.size(), result.seconds));
  return 0;
}

void AddSampling(CLI::App& app, Options& options) {
  SamplerOptions& sampler = options.generate.sampler;
  app.add_option("--temp", sampler.temperature, "Temperature; 0: always the best token (0.8)");
  app.add_option("--top-k", sampler.top_k, "Keep the k best tokens; 0: all (40)");
  app.add_option("--top-p", sampler.top_p, "Keep the best with this probability together (0.95)");
  app.add_option("--min-p", sampler.min_p, "Keep those with this share of the best one's (0.05)");
  app.add_option("--repeat-penalty", sampler.repeat_penalty, "Penalty of repetition; 1: none (1)");
  app.add_option("--repeat-last-n", sampler.penalty_last_n,
                 "Tokens it looks back on; -1: all (64)");
  app.add_option("--frequency-penalty", sampler.frequency_penalty, "Taken per occurrence (0)");
  app.add_option("--presence-penalty", sampler.presence_penalty, "Taken of all that occurred (0)");
  app.add_option("-s,--seed", options.seed, "Seed of the draws; -1: a new one each time (-1)")
      ->check(CLI::Range(int64_t{-1}, int64_t{0xFFFFFFFF}));
}

}  // namespace

std::function<int()> DefineRun(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("-m,--model", options->model, "The model, a GGUF file")->required();
  AddLora(app, options->adapters);
  app.add_option("-p,--prompt", options->prompt, "The text to continue");
  app.add_option("-f,--file", options->file, "A file with the text to continue");
  app.add_option("-n,--predict", options->generate.max_tokens,
                 "Tokens to generate at most; -1: until the model ends (-1)")
      ->check(CLI::Range(int64_t{-1}, int64_t{1} << 40));
  app.add_option("-c,--ctx-size", options->generate.context,
                 "Tokens of the context; 0: as many as the model was trained for (0)")
      ->check(CLI::NonNegativeNumber);
  AddSampling(app, *options);
  AddKvType(app, options->generate.kv_type);
  app.add_option("-t,--threads", options->threads, "Threads; all cores by default");
  app.add_flag("--no-conversation", options->no_conversation,
               "Continue the prompt as it is (-no-cnv); it is what run does");
  app.add_flag("--no-display-prompt", options->no_display_prompt, "Print the continuation alone");
  app.add_flag("--json", options->json, "The result as JSON, when it is whole");
  app.footer("Example:\n  quern run -m model.gguf -p \"In the beginning\" -n 64 --temp 0");
  return [options] { return Run(*options); };
}

}  // namespace quern::cli
