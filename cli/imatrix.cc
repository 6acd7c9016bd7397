#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/parallel.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "model/eval/imatrix_collector.h"
#include "model/runner.h"

namespace quern::cli {
namespace {

struct Options {
  std::string model, text, out = "imatrix.gguf", format = "gguf";
  std::vector<std::string> in_files;
  int64_t context = 512, chunks = -1;
  int threads = 0;
  bool process_output = false, parse_special = false, force = false, quiet = false;
};

int Run(const Options& options) {
  const ThreadLimit limit(options.threads);
  if (options.in_files.empty() && (options.model.empty() || options.text.empty())) {
    Fail(ErrorKind::kUsage, "give a model and a text (-m, -f), or files to join (--in-file)");
  }
  const auto overwrite = options.force ? Overwrite::kReplace : Overwrite::kRefuse;
  if (!options.force && std::filesystem::exists(options.out)) {
    Fail(ErrorKind::kOutput, "{}: exists already; --force replaces it", options.out);
  }
  const auto progress = MakeProgress(options.quiet);
  ImatrixCollector collector(options.process_output);
  for (const std::string& file : options.in_files) collector.Add(*GgufModel::Open(file));
  if (!options.model.empty() && !options.text.empty()) {
    const auto runner = Runner::Open(options.model);
    const Tokenizer& tokenizer = runner->tokenizer();
    const auto tokens = tokenizer.Encode(ReadFile(options.text), true, options.parse_special);
    CollectImatrix(runner->forward(), collector, tokens, FirstOfChunk(tokenizer), options.context,
                   options.chunks,
                   [&](int64_t done, int64_t total) { progress->Step(done, total, "chunk"); });
    collector.AddDataset(options.text);
  }
  if (options.format == "dat") {
    collector.WriteDat(options.out, options.context, overwrite);
  } else {
    collector.WriteGguf(options.out, options.context, overwrite);
  }
  fmt::print("{}: {} tensors measured\n", options.out, collector.entries().size());
  return 0;
}

}  // namespace

std::function<int()> DefineImatrix(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("-m,--model", options->model, "The model, a GGUF file");
  app.add_option("-f,--file", options->text, "The text to measure on, UTF-8");
  app.add_option("-o,--output", options->out, "The file to write (imatrix.gguf)");
  app.add_option("--output-format", options->format, "gguf, or dat of old (gguf)")
      ->check(CLI::IsMember({"gguf", "dat"}));
  app.add_option("--in-file", options->in_files, "An imatrix file in GGUF form to add; repeatable");
  app.add_option("-c,--ctx-size", options->context, "Tokens per chunk (512)")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 31));
  app.add_option("--chunks", options->chunks, "How many chunks at most; -1: all (-1)");
  app.add_flag("--process-output", options->process_output, "Measure output.weight, too");
  app.add_flag("--parse-special", options->parse_special, "Control tokens in the text count");
  app.add_option("-t,--threads", options->threads, "Threads; all cores by default");
  app.add_flag("--force", options->force, "Replace an existing file");
  app.add_flag("-q,--quiet", options->quiet, "No progress");
  app.footer("Example:\n  quern imatrix -m model-bf16.gguf -f text.txt -o imatrix.gguf");
  return [options] { return Run(*options); };
}

}  // namespace quern::cli
