// hellaswag, winogrande and multiple-choice: one score, three forms of data.
#include "model/eval/choices.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/parallel.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/json_output.h"
#include "cli/model_options.h"
#include "model/runner.h"

namespace quern::cli {
namespace {

struct Options {
  std::string model, data;
  int64_t tasks = 0;
  KvTypes cache;
  int threads = 0;
  bool json = false, quiet = false;
};

using Parse = std::vector<ChoiceTask> (*)(std::string_view bytes, int64_t count,
                                          const std::string& name);

void Print(const ChoiceScore& score, bool json) {
  if (json) {
    WriteJson(nlohmann::json{{"score", score.share()},
                             {"error", score.error()},
                             {"interval", {score.lowest(), score.highest()}},
                             {"chance", score.chance},
                             {"correct", score.correct},
                             {"tasks", score.tasks}},
              kOneLine);
    return;
  }
  fmt::print("Score: {:.4f} % +/- {:.4f} ({} of {} tasks)\n", 100 * score.share(),
             100 * score.error(), score.correct, score.tasks);
  fmt::print("95 % interval: {:.4f} % to {:.4f} %; guessing gets {:.4f} %\n", 100 * score.lowest(),
             100 * score.highest(), 100 * score.chance);
}

int Run(const Options& options, Parse parse) {
  const ThreadLimit limit(options.threads);
  const auto tasks = parse(ReadFile(options.data), options.tasks, options.data);
  const auto runner = Runner::Open(options.model);
  const auto progress = MakeProgress(options.quiet);
  const ChoiceScore score = ScoreChoices(
      runner->forward(), runner->tokenizer(), tasks, options.cache, [&](const ChoiceScore& now) {
        progress->Step(now.tasks, std::ssize(tasks), fmt::format("{:.4f} %", 100 * now.share()));
      });
  Print(score, options.json);
  return 0;
}

std::function<int()> Define(const Arguments& arguments, const char* own_count, int64_t tasks,
                            const char* data, Parse parse) {
  auto options = std::make_shared<Options>();
  options->tasks = tasks;
  arguments.Option("-m,--model", options->model, "The model, a GGUF file").Required();
  arguments.Option("-f,--file,--binary-file", options->data, data).Required();
  arguments
      .Option(
          fmt::format("--tasks,{}", own_count), options->tasks,
          fmt::format("How many tasks, drawn as llama-perplexity draws them; 0: all ({})", tasks))
      .NonNegative();
  AddCacheTypes(arguments, options->cache);
  arguments.Threads(options->threads);
  arguments.Flag("--json", options->json, "The result as JSON");
  arguments.Quiet(options->quiet);
  return [options, parse] { return Run(*options, parse); };
}

}  // namespace

std::function<int()> DefineHellaswag(const Arguments& arguments) {
  arguments.Footer("Example:\n  quern hellaswag -m model.gguf -f hellaswag_val_full.txt");
  return Define(arguments, "--hellaswag-tasks", 400,
                "Six lines per task: context, number of the right ending from 0, four endings",
                ParseHellaswag);
}

std::function<int()> DefineWinogrande(const Arguments& arguments) {
  arguments.Footer("Example:\n  quern winogrande -m model.gguf -f winogrande-debiased-eval.csv");
  return Define(arguments, "--winogrande-tasks", 0,
                "Lines of number, sentence with a _, first choice, second choice, 1 or 2",
                ParseWinogrande);
}

std::function<int()> DefineMultipleChoice(const Arguments& arguments) {
  arguments.Footer(
      "Example:\n  quern multiple-choice -m model.gguf -f arc-challenge-validation.bin");
  return Define(arguments, "--multiple-choice-tasks", 0,
                "Questions with their answers, in llama-perplexity's binary form",
                [](std::string_view bytes, int64_t count, const std::string& name) {
                  return ParseMultipleChoice(std::as_bytes(std::span(bytes)), count, name);
                });
}

}  // namespace quern::cli
