#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/json_output.h"
#include "gguf/gguf_reader.h"
#include "gguf/gguf_writer.h"
#include "gguf/keys.h"

namespace quern::cli {
namespace {

struct Options {
  std::string first, output;
  bool force = false, json = false, quiet = false;
};

int Run(const Options& options) {
  const auto progress = MakeProgress(options.quiet);
  const auto model = GgufModel::Open(options.first);
  Metadata metadata = model->metadata();
  for (const auto key : {keys::kSplitNo, keys::kSplitCount, keys::kSplitTensors}) {
    metadata.Remove(key);
  }
  GgufSink sink(options.output, metadata, model->tensors(),
                options.force ? Overwrite::kReplace : Overwrite::kRefuse);
  Stream(*model, sink, *progress);
  sink.Commit();
  if (options.json) {
    const nlohmann::ordered_json out = {{"outputs", {options.output}},
                                        {"files", model->file_count()}};
    WriteJson(out);
  } else {
    fmt::print("{}: of {} files\n", options.output, model->file_count());
  }
  return 0;
}

}  // namespace

std::function<int()> DefineMergeSplits(const Arguments& arguments) {
  auto options = std::make_shared<Options>();
  arguments.Option("FIRST", options->first, "The first split: NAME-00001-of-0000N.gguf").Required();
  arguments.Option("OUT", options->output, "The one file they become").Required();
  arguments.Flag("--force", options->force, "Replace a file that is there");
  arguments.Flag("--json", options->json, "What was written, as JSON");
  arguments.Quiet(options->quiet);
  arguments.Footer("Example:\n  quern merge-splits model-00001-of-00003.gguf model.gguf");
  return [options] { return Run(*options); };
}

}  // namespace quern::cli
