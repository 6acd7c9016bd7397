#include <fmt/format.h>

#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/parallel.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/conversation.h"
#include "cli/escapes.h"
#include "cli/json_output.h"
#include "cli/model_options.h"
#include "cli/run_time_lora.h"
#include "cli/sampling_options.h"
#include "cli/say.h"

namespace quern::cli {
namespace {

struct Options {
  std::string model, prompt, file, system, template_file;
  std::vector<std::string> adapters, stops;
  GenerateOptions generate;
  SamplingFlags sampling;
  int64_t keep = 0;
  int threads = 0;
  bool json = false, no_display_prompt = false, no_conversation = false, conversation = false;
  bool single_turn = false, ignore_eos = false, context_shift = false, escape = true;
};

double Rate(size_t tokens, double seconds) {
  return seconds > 0 ? static_cast<double>(tokens) / seconds : 0.0;
}

void PrintJson(const Options& options, const std::vector<TokenId>& prompt, const Answer& answer) {
  const Generated& generated = answer.generated;
  nlohmann::json out{{"prompt_ids", prompt},
                     {"ids", generated.tokens},
                     {"text", answer.text},
                     {"stop", answer.stop},
                     {"seed", options.generate.sampler.seed},
                     {"prompt_tokens_per_second", Rate(prompt.size(), generated.prompt_seconds)},
                     {"tokens_per_second", Rate(generated.tokens.size(), generated.seconds)}};
  if (!answer.stop_string.empty()) out["stop_string"] = answer.stop_string;
  // A generation may end in the middle of a character.
  WriteJson(out, kOneLine);
  std::fflush(stdout);
}

// Text to stdout at once; where nobody reads it any more, the work ends.
void Show(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    Fail(ErrorKind::kOutput, "standard output: cannot be written");
  }
}

void SayEnd(const std::vector<TokenId>& prompt, const Answer& answer) {
  const Generated& generated = answer.generated;
  if (generated.reason == StopReason::kContext) {
    Say("note: the context is full after {} tokens; -c gives more room, --context-shift goes on\n",
        prompt.size() + generated.tokens.size());
  }
  Say("prompt: {} tokens, {:.1f} per second; generated: {}, {:.1f} per second\n", prompt.size(),
      Rate(prompt.size(), generated.prompt_seconds), generated.tokens.size(),
      Rate(generated.tokens.size(), generated.seconds));
}

// Continues the prompt and tells of it: the text as it comes, or all of it as JSON.
Answer Tell(const Options& options, Session& session, const Tokenizer& tokenizer,
            const std::vector<TokenId>& prompt) {
  Answer answer = Continue(session, tokenizer, prompt, options.generate.max_tokens, options.stops,
                           [&](std::string_view text) {
                             if (!options.json) Show(text);
                           });
  if (options.json) {
    PrintJson(options, prompt, answer);
  } else {
    Show("\n");
    SayEnd(prompt, answer);
  }
  return answer;
}

int Complete(const Options& options, Session& session, const Tokenizer& tokenizer) {
  const auto prompt = tokenizer.Encode(options.prompt, true, true);
  if (!options.json && !options.no_display_prompt) Show(options.prompt);
  Tell(options, session, tokenizer, prompt);
  return 0;
}

// What the user says next: a line, and further ones as long as each ends in a backslash.
bool ReadTurn(std::string& turn) {
  turn.clear();
  Say("\n> ");
  for (std::string line; std::getline(std::cin, line);) {
    const bool more = line.ends_with('\\');
    turn += more ? line.substr(0, line.size() - 1) + "\n" : line;
    if (!more) return true;
  }
  return !turn.empty();
}

int Converse(const Options& options, Session& session, const Runner& runner,
             const Tokenizer& tokenizer) {
  Conversation conversation(runner.metadata(), tokenizer, options.system,
                            options.template_file.empty() ? "" : ReadFile(options.template_file));
  std::string turn = options.prompt;
  if (turn.empty() && !ReadTurn(turn)) return 0;
  do {
    if (turn.empty()) continue;
    const Answer answer = Tell(options, session, tokenizer, conversation.Say(turn));
    conversation.Answered(answer.text);
    if (answer.generated.reason == StopReason::kContext) return 0;
  } while (!options.single_turn && ReadTurn(turn));
  return 0;
}

int Run(Options& options) {
  const ThreadLimit limit(options.threads);
  if (!options.prompt.empty() && !options.file.empty()) {
    Fail(ErrorKind::kUsage, "give a prompt, either by -p or by -f");
  }
  if (!options.file.empty()) options.prompt = ReadFile(options.file);
  const bool converse = !options.no_conversation &&
                        (options.conversation || options.single_turn || !options.system.empty());
  if (!converse && options.prompt.empty()) {
    Fail(ErrorKind::kUsage, "give a prompt, either by -p or by -f");
  }
  if (options.escape) {
    options.prompt = Unescaped(options.prompt);
    for (auto* texts : {&options.stops, &options.sampling.breakers}) {
      for (std::string& text : *texts) text = Unescaped(text);
    }
  }
  const auto runner = OpenRunner(options.model, options.adapters);
  const Tokenizer& tokenizer = runner->tokenizer();
  SamplerOptions& sampler = options.generate.sampler;
  sampler = SamplerOptionsOf(options.sampling, tokenizer);
  for (TokenId id = 0; options.ignore_eos && id < tokenizer.size(); ++id) {
    if (tokenizer.IsEndOfGeneration(id)) sampler.banned.push_back(id);
  }
  Session session(*runner, options.generate);
  if (options.context_shift) session.ShiftContext(options.keep);
  return converse ? Converse(options, session, *runner, tokenizer)
                  : Complete(options, session, tokenizer);
}

void AddConversation(const Arguments& arguments, Options& options) {
  arguments.Flag("--chat,--conversation", options.conversation,
                 "Talk by the model's chat template, line by line from the terminal (-cnv)");
  arguments.Flag("--no-conversation", options.no_conversation,
                 "Continue the prompt as it is (-no-cnv); it is what run does");
  arguments.Flag("--single-turn", options.single_turn, "Talk for one turn and end (-st)");
  arguments.Option("--system,--system-prompt", options.system,
                   "What the conversation begins with (-sys)");
  arguments.Option("--chat-template-file", options.template_file,
                   "A Jinja template instead of the file's");
  arguments
      .Option("-r,--reverse-prompt,--stop", options.stops,
              "Stop at this text, which is not shown; may be repeated")
      .Repeated();
  arguments.Flag("--ignore-eos", options.ignore_eos, "Go on where the model would end");
  arguments.Flag("--context-shift", options.context_shift,
                 "Where the context is full, forget half of it and go on");
  arguments.Option("--keep", options.keep, "Tokens at the beginning that are not forgotten (0)")
      .NonNegative();
}

}  // namespace

std::function<int()> DefineRun(const Arguments& arguments) {
  auto options = std::make_shared<Options>();
  arguments.Option("-m,--model", options->model, "The model, a GGUF file").Required();
  AddLora(arguments, options->adapters);
  arguments.Option("-p,--prompt", options->prompt, "The text to continue");
  arguments.Option("-f,--file", options->file, "A file with the text to continue");
  arguments
      .Option("-n,--predict", options->generate.max_tokens,
              "Tokens to generate at most; -1: until the model ends (-1)")
      .Within(int64_t{-1}, int64_t{1} << 40);
  arguments
      .Option("-c,--ctx-size", options->generate.context,
              "Tokens of the context; 0: as many as the model was trained for (0)")
      .NonNegative();
  AddSampling(arguments, options->sampling);
  arguments.Flag(
      "-e,--escape,!--no-escape", options->escape,
      "Read \\n, \\t and the like in prompt and stop strings as what they stand for (on)");
  AddCacheTypes(arguments, options->generate.cache);
  arguments.Threads(options->threads);
  AddConversation(arguments, *options);
  arguments.Flag("--no-display-prompt", options->no_display_prompt, "Print the continuation alone");
  arguments.Flag("--json", options->json, "The result as JSON, when it is whole");
  arguments.Footer(
      "Examples:\n"
      "  quern run -m model.gguf -p \"In the beginning\" -n 64 --temp 0\n"
      "  quern run -m model.gguf --chat --system \"Answer briefly.\"");
  return [options] { return Run(*options); };
}

}  // namespace quern::cli
