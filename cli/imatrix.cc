#include "quant/imatrix.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/parallel.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/json_output.h"
#include "cli/run_time_lora.h"
#include "gguf/magic.h"
#include "model/eval/imatrix_collector.h"
#include "model/eval/imatrix_statistics.h"
#include "model/runner.h"

namespace quern::cli {
namespace {

struct Options {
  std::string model, text, out = "imatrix.gguf", format = "gguf";
  std::vector<std::string> in_files, adapters;
  int64_t context = 512, chunks = -1, first = 0, save_every = 0;
  int threads = 0;
  bool process_output = false, parse_special = false, force = false, quiet = false;
  bool statistics = false, json = false, no_ppl = false;
};

void Join(const std::string& path, int64_t chunk_size, ImatrixCollector& collector) {
  if (IsGguf(path)) {
    collector.Add(*GgufModel::Open(path));
    return;
  }
  // An old file has means, and how many chunks they are of.
  const Imatrix old = ReadImatrix(path);
  for (const auto& [name, means] : old.weights) {
    collector.AddMeans(path, name, means, std::max<int64_t>(old.chunks, 1) * chunk_size);
  }
  for (const std::string& dataset : old.datasets) collector.AddDataset(dataset);
}

void Write(const Options& options, const ImatrixCollector& collector, const std::string& path) {
  const auto overwrite = options.force ? Overwrite::kReplace : Overwrite::kRefuse;
  if (options.format == "dat") {
    collector.WriteDat(path, options.context, overwrite);
  } else {
    collector.WriteGguf(path, options.context, overwrite);
  }
}

void PrintStatisticsJson(const std::vector<ImatrixStatistics>& all) {
  nlohmann::json out = {{"tensors", nlohmann::json::array()}, {"layers", nlohmann::json::array()}};
  for (const ImatrixStatistics& s : all) {
    nlohmann::json entry = {{"name", s.name},        {"values", s.values},
                            {"sum", s.sum},          {"min", s.least},
                            {"max", s.most},         {"mean", s.mean},
                            {"stddev", s.deviation}, {"active", s.active},
                            {"entropy", s.entropy},  {"entropy_norm", s.entropy_share},
                            {"zd", s.outliers}};
    if (s.similarity) entry["cos_sim"] = *s.similarity;
    out["tensors"].push_back(std::move(entry));
  }
  for (const ImatrixLayer& layer : LayersOf(all)) {
    out["layers"].push_back({{"layer", layer.layer},
                             {"sum", layer.sum},
                             {"zd", layer.outliers},
                             {"cos_sim", layer.similarity}});
  }
  WriteJson(out, kOneLine);
}

void PrintStatistics(const std::vector<ImatrixStatistics>& all) {
  fmt::print(
      "{:>5} {:<20} {:>12} {:>10} {:>12} {:>10} {:>10} {:>8} {:>7} {:>9} {:>8} {:>8} {:>7}\n",
      "layer", "tensor", "sum(x^2)", "min", "max", "mean", "stddev", "active", "values", "entropy",
      "of most", "ZD", "cos");
  for (const ImatrixStatistics& s : all) {
    fmt::print(
        "{:>5} {:<20} {:12.2f} {:10.4f} {:12.4f} {:10.4f} {:10.4f} {:6.2f} % {:7} {:9.4f} {:6.2f} "
        "% "
        "{:6.2f} % {:>7}\n",
        s.layer < 0 ? "-" : fmt::format("{}", s.layer), s.role, s.sum, s.least, s.most, s.mean,
        s.deviation, 100 * s.active, s.values, s.entropy, 100 * s.entropy_share, 100 * s.outliers,
        s.similarity ? fmt::format("{:.4f}", *s.similarity) : "-");
  }
  fmt::print("\n{:>5} {:>12} {:>8} {:>7}\n", "layer", "sum(x^2)", "ZD", "cos");
  for (const ImatrixLayer& layer : LayersOf(all)) {
    fmt::print("{:>5} {:12.2f} {:6.2f} % {:7.4f}\n", layer.layer, layer.sum, 100 * layer.outliers,
               layer.similarity);
  }
}

int ShowStatistics(const Options& options, const ImatrixCollector& collector) {
  if (options.in_files.empty()) {
    Fail(ErrorKind::kUsage, "--show-statistics needs an imatrix file (--in-file)");
  }
  const auto all = StatisticsOf(collector);
  options.json ? PrintStatisticsJson(all) : PrintStatistics(all);
  return 0;
}

void Collect(const Options& options, ImatrixCollector& collector) {
  const auto progress = MakeProgress(options.quiet);
  const auto runner = OpenRunner(options.model, options.adapters);
  const Tokenizer& tokenizer = runner->tokenizer();
  const auto tokens = tokenizer.Encode(ReadFile(options.text), true, options.parse_special);
  collector.AddDataset(options.text);
  CollectImatrix(runner->forward(), collector, tokens, FirstOfChunk(tokenizer), options.context,
                 options.first, options.chunks, [&](int64_t done, int64_t total) {
                   progress->Step(done, total, "chunk");
                   if (options.save_every > 0 && done % options.save_every == 0) {
                     Write(options, collector, fmt::format("{}.at_{}", options.out, done));
                   }
                 });
}

int Run(const Options& options) {
  const ThreadLimit limit(options.threads);
  if (options.in_files.empty() && (options.model.empty() || options.text.empty())) {
    Fail(ErrorKind::kUsage, "give a model and a text (-m, -f), or files to join (--in-file)");
  }
  ImatrixCollector collector(options.process_output);
  for (const std::string& file : options.in_files) Join(file, options.context, collector);
  if (options.statistics) return ShowStatistics(options, collector);
  if (!options.force && std::filesystem::exists(options.out)) {
    Fail(ErrorKind::kOutput, "{}: exists already; --force replaces it", options.out);
  }
  if (!options.model.empty() && !options.text.empty()) Collect(options, collector);
  Write(options, collector, options.out);
  fmt::print("{}: {} tensors measured\n", options.out, collector.entries().size());
  return 0;
}

}  // namespace

std::function<int()> DefineImatrix(const Arguments& arguments) {
  auto options = std::make_shared<Options>();
  arguments.Option("-m,--model", options->model, "The model, a GGUF file");
  AddLora(arguments, options->adapters);
  arguments.Option("-f,--file", options->text, "The text to measure on, UTF-8");
  arguments.Option("-o,--output", options->out, "The file to write (imatrix.gguf)");
  arguments.Option("--output-format", options->format, "gguf, or dat of old (gguf)")
      .Among({"gguf", "dat"});
  arguments
      .Option("--in-file", options->in_files,
              "An imatrix file to add, GGUF or .dat; several with commas, or repeated")
      .Separated(',');
  arguments.Option("-c,--ctx-size", options->context, "Tokens per chunk (512)")
      .Within(int64_t{1}, int64_t{1} << 31);
  arguments.Option("--chunks", options->chunks, "How many chunks at most; -1: all (-1)");
  arguments
      .Option("--chunk,--from-chunk", options->first, "Chunks of the text to leave out first (0)")
      .NonNegative();
  arguments
      .Option("--save-frequency", options->save_every,
              "Write OUTPUT.at_N after every so many chunks, too; 0: never (0)")
      .NonNegative();
  arguments.Flag("--show-statistics", options->statistics,
                 "Tell of the files of --in-file how their values are spread, and stop");
  arguments.Flag("--json", options->json, "The statistics as JSON");
  arguments.Flag("--no-ppl", options->no_ppl, "Of no effect: no perplexity is computed here");
  arguments.Flag("--process-output", options->process_output, "Measure output.weight, too");
  arguments.Flag("--parse-special", options->parse_special, "Control tokens in the text count");
  arguments.Threads(options->threads);
  arguments.Flag("--force", options->force, "Replace an existing file");
  arguments.Quiet(options->quiet);
  arguments.Footer(
      "Examples:\n  quern imatrix -m model-bf16.gguf -f text.txt -o imatrix.gguf\n"
      "  quern imatrix --in-file a.gguf --in-file b.dat -o both.gguf\n"
      "  quern imatrix --in-file imatrix.gguf --show-statistics");
  return [options] { return Run(*options); };
}

}  // namespace quern::cli
