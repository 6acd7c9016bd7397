#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/json_output.h"
#include "cli/size_text.h"
#include "gguf/gguf_reader.h"
#include "gguf/gguf_writer.h"

namespace quern::cli {
namespace {

// llama-gguf-split's, where no limit is given.
constexpr int64_t kDefaultTensors = 128;

struct Options {
  std::string input, prefix, max_size;
  int64_t max_tensors = 0;
  bool force = false, json = false, quiet = false;
};

SplitPlan PlanOf(const Options& options) {
  SplitPlan plan;
  if (!options.max_size.empty()) {
    const auto size = ParseSize(options.max_size);
    if (!size || *size <= 0) {
      Fail(ErrorKind::kUsage, "--split-max-size: '{}' is no size, such as 300M or 2G",
           options.max_size);
    }
    plan.max_bytes = *size;
  }
  plan.max_tensors = options.max_tensors;
  if (!plan.splits()) plan.max_tensors = kDefaultTensors;
  return plan;
}

int Run(const Options& options) {
  const auto progress = MakeProgress(options.quiet);
  const SplitPlan plan = PlanOf(options);
  const auto model = GgufModel::Open(options.input);
  GgufSink sink(options.prefix, model->metadata(), model->tensors(),
                options.force ? Overwrite::kReplace : Overwrite::kRefuse, plan);
  Stream(*model, sink, *progress);
  sink.Commit();
  nlohmann::ordered_json out = {{"outputs", nlohmann::json::array()}};
  for (const auto& path : sink.paths()) {
    out["outputs"].push_back(path.string());
    if (!options.json) fmt::print("{}\n", path.string());
  }
  if (options.json) WriteJson(out);
  return 0;
}

}  // namespace

std::function<int()> DefineSplit(const Arguments& arguments) {
  auto options = std::make_shared<Options>();
  arguments.Option("IN", options->input, "A GGUF file").Required();
  arguments
      .Option("OUT_PREFIX", options->prefix, "The files are OUT_PREFIX-00001-of-00003.gguf, ...")
      .Required();
  arguments
      .Option("--split-max-size", options->max_size, "Tensor bytes per file, such as 300M or 2G")
      .Kind("N(K|M|G)");
  arguments.Option("--split-max-tensors", options->max_tensors, "Tensors per file (128)")
      .Positive();
  arguments.Flag("--force", options->force, "Replace files that are there");
  arguments.Flag("--json", options->json, "The files' names as JSON");
  arguments.Quiet(options->quiet);
  arguments.Footer("Example:\n  quern split model.gguf parts/model --split-max-size 2G");
  return [options] { return Run(*options); };
}

}  // namespace quern::cli
