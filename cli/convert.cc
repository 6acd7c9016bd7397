#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "adapters/merged_source.h"
#include "base/ascii.h"
#include "base/error.h"
#include "base/parallel.h"
#include "cli/adapter_list.h"
#include "cli/arguments.h"
#include "cli/base_mode.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/device_option.h"
#include "cli/file_type_source.h"
#include "cli/json_output.h"
#include "cli/merge_record.h"
#include "cli/size_text.h"
#include "convert/bnb_source.h"
#include "convert/hf_model.h"
#include "gguf/gguf_writer.h"
#include "quant/file_type.h"

namespace quern::cli {
namespace fs = std::filesystem;
namespace {

struct Options {
  std::string folder, outfile, outtype = "auto", split_size = "0", metadata, pre;
  std::string device = "cpu";
  std::vector<std::string> adapters;
  BaseModeOptions base_mode;
  int64_t split_tensors = 0;
  int threads = 0;
  bool dry_run = false, vocab_only = false, force = false, json = false, quiet = false;
};

// A conversion thought through, before anything is written.
struct Job {
  FileType file_type = FileType::kF16;
  std::shared_ptr<const TensorSource> tensors;  // null: the vocabulary alone
  Metadata keys;
  fs::path out;
  SplitPlan split;
  std::shared_ptr<MergeRecord> merge;     // null: nothing is merged
  std::shared_ptr<DeviceEncoder> device;  // null: the processor alone

  std::vector<TensorInfo> infos() const {
    return tensors ? tensors->tensors() : std::vector<TensorInfo>();
  }
};

int64_t Weights(const std::vector<TensorInfo>& tensors) {
  int64_t count = 0;
  for (const TensorInfo& tensor : tensors) count += tensor.elements();
  return count;
}

fs::path OutputPath(const Options& options, const ModelNameParts& name, std::string_view type) {
  fs::path path = options.outfile;
  if (path.empty()) path = fs::is_directory(options.folder) ? fs::path(options.folder) : ".";
  if (fs::is_directory(path)) {
    return path / (FileNameOf(name, type, options.vocab_only) + ".gguf");
  }
  const std::string upper(type), lower = Lowered(upper);
  std::string file = path.filename().string();
  for (const auto& [hole, text] : {std::pair<std::string, std::string>{"{ftype}", lower},
                                   {"{outtype}", lower},
                                   {"{FTYPE}", upper},
                                   {"{OUTTYPE}", upper}}) {
    for (size_t at = file.find(hole); at != std::string::npos; at = file.find(hole, at)) {
      file.replace(at, hole.size(), text);
    }
  }
  return path.parent_path() / file;
}

// "300M" of tensor data, as the reference counts: 1000 each.
int64_t SplitBytes(const std::string& text) {
  const auto bytes = ParseSize(text);
  if (!bytes) {
    Fail(ErrorKind::kUsage, "--split-max-size {}: should be a number, with K, M or G behind it",
         text);
  }
  return *bytes;
}

Job VocabularyJob(const Options& options, const HfModel& model, Progress& progress) {
  Job job;
  ModelNameParts name;
  if (const auto type = FileTypeFromName(options.outtype)) job.file_type = *type;
  job.keys = model.Keys(0, InfoOf(job.file_type).id, progress, name);
  job.out = OutputPath(options, name, NameOf(job.file_type));
  return job;
}

// The checkpoint with the adapters merged into it, each value rounded to the checkpoint's type;
// `model` gets the tokens that they add, `record` what was done.
std::shared_ptr<const TensorSource> Merged(const Options& options, HfModel& model,
                                           std::shared_ptr<MergeRecord>& record,
                                           Progress& progress) {
  const MergeBase base = OpenHfBase(options.folder, options.base_mode);
  const auto adapters = OpenAdapters(options.adapters, options.folder);
  auto merged = std::make_shared<MergedSource>(base.tensors, base.names, adapters);
  const MergeReport& report = merged->report();
  NoteMerge(report, progress);
  if (report.vocab > 0) {
    model = model.WithVocabulary(TokenizerFolder(report), report.vocab, progress);
  }
  record = std::make_shared<MergeRecord>(base, adapters, std::nullopt, report);
  return merged;
}

Job ModelJob(const Options& options, HfModel model, Progress& progress) {
  Job job;
  auto checkpoint = options.adapters.empty() ? OpenWeights(options.folder).tensors
                                             : Merged(options, model, job.merge, progress);
  if (!options.dry_run) job.device = OpenDevice(options.device, progress);
  ConvertedModel converted =
      ConvertModel(model, std::move(checkpoint), options.outtype, progress, job.device);
  job.file_type = converted.file_type;
  job.tensors = std::move(converted.tensors);
  job.keys = std::move(converted.keys);
  if (job.merge) job.merge->SetKeys(job.keys);
  job.out = OutputPath(options, converted.name, NameOf(converted.file_type));
  job.split.max_tensors = options.split_tensors;
  job.split.max_bytes = SplitBytes(options.split_size);
  return job;
}

int64_t TensorBytes(const std::vector<TensorInfo>& tensors) {
  int64_t bytes = 0;
  for (const TensorInfo& tensor : tensors) bytes += tensor.bytes();
  return bytes;
}

// Before the work: an output that exists, and a disk that is too full.
void CheckOutput(const Options& options, const Job& job) {
  const auto needed = static_cast<uint64_t>(TensorBytes(job.infos()));
  const uint64_t free = FreeSpace(job.out);
  if (needed > free) {
    Fail(ErrorKind::kOutput, "{}: needs {} bytes, the disk has {} left", job.out.string(), needed,
         free);
  }
  if (!options.force && !job.split.splits() && fs::exists(job.out)) {
    Fail(ErrorKind::kOutput, "{}: exists already (--force replaces it)", job.out.string());
  }
}

nlohmann::ordered_json JsonOf(const Job& job) {
  nlohmann::ordered_json out;
  out["outfile"] = job.out.string();
  out["outtype"] = NameOf(job.file_type);
  out["tensors"] = nlohmann::ordered_json::array();
  for (const TensorInfo& tensor : job.infos()) {
    out["tensors"].push_back({{"name", tensor.name},
                              {"type", NameOf(tensor.type)},
                              {"shape", tensor.shape},
                              {"bytes", tensor.bytes()}});
  }
  out["weights"] = Weights(job.infos());
  out["tensor_bytes"] = TensorBytes(job.infos());
  return out;
}

void PrintPlan(const Options& options, const Job& job) {
  if (options.json) {
    WriteJson(JsonOf(job));
    return;
  }
  for (const TensorInfo& tensor : job.infos()) {
    fmt::print("{:<32} {:<8} {:>20} {:>14}\n", tensor.name, NameOf(tensor.type),
               ShapeText(tensor.shape), tensor.bytes());
  }
  fmt::print("{}: {}, {} tensors, {} weights, {} bytes (nothing is written)\n", job.out.string(),
             NameOf(job.file_type), job.infos().size(), Weights(job.infos()),
             TensorBytes(job.infos()));
}

void PrintResult(const Options& options, const Job& job, const GgufSink& sink) {
  if (options.json) {
    auto out = JsonOf(job);
    out["files"] = nlohmann::ordered_json::array();
    for (const fs::path& path : sink.paths()) out["files"].push_back(path.string());
    out["bytes"] = sink.total_bytes();
    WriteJson(out);
    return;
  }
  for (const fs::path& path : sink.paths()) fmt::print("{}\n", path.string());
  fmt::print("{}, {} tensors, {} weights, {} bytes\n",
             job.tensors ? NameOf(job.file_type) : "vocabulary", job.infos().size(),
             Weights(job.infos()), sink.total_bytes());
}

int Run(const Options& options) {
  if (options.adapters.empty() &&
      !(options.base_mode.mode.empty() && options.base_mode.bnb_type.empty())) {
    Fail(ErrorKind::kUsage, "--base-mode and --bnb-type say what --lora is merged into");
  }
  const ThreadLimit limit(options.threads);
  const auto progress = MakeProgress(options.quiet);
  const HfModel model =
      HfModel::Open(options.folder, {.overrides = options.metadata, .pre = options.pre}, *progress);
  if (!options.vocab_only && !model.has_model()) {
    Fail(ErrorKind::kUsage, "{}: is no HF model folder (--vocab-only converts a tokenizer alone)",
         options.folder);
  }
  const Job job = options.vocab_only ? VocabularyJob(options, model, *progress)
                                     : ModelJob(options, model, *progress);
  if (options.dry_run) {
    PrintPlan(options, job);
    return 0;
  }
  CheckOutput(options, job);
  GgufSink sink(job.out, job.keys, job.infos(),
                options.force ? Overwrite::kReplace : Overwrite::kRefuse, job.split);
  if (job.tensors) Stream(*job.tensors, sink, *progress, PiecesFor(job.device.get()));
  if (job.merge) job.merge->CompleteKeys(sink);
  sink.Commit();
  if (job.merge) job.merge->WriteBeside(sink.paths().front());
  PrintResult(options, job, sink);
  return 0;
}

}  // namespace

std::function<int()> DefineConvert(const Arguments& arguments) {
  auto options = std::make_shared<Options>();
  arguments
      .Option("DIR", options->folder,
              "A HF model folder; with --vocab-only also a tokenizer.model or tokenizer.json")
      .Required();
  arguments.Option("--outfile", options->outfile,
                   "The GGUF file, or a folder for it; {ftype} in its name becomes the type");
  arguments
      .Option("--outtype", options->outtype,
              "auto (the checkpoint's 16-bit type), f32, f16, bf16, q8_0, q4_k_m, ...")
      .ShowDefault();
  arguments
      .Option("--lora", options->adapters,
              "A PEFT adapter's folder to merge first, or FOLDER:WEIGHT; may be given repeatedly")
      .Repeated();
  AddBaseMode(arguments, options->base_mode);
  arguments.Option("--split-max-size", options->split_size,
                   "Tensor bytes per file: N, NK, NM or NG");
  arguments.Option("--split-max-tensors", options->split_tensors, "Tensors per file").NonNegative();
  arguments.Option("--device", options->device, kDeviceHelp).Kind("DEVICE");
  arguments.Flag("--dry-run", options->dry_run, "Print what would be written, and write nothing");
  arguments.Flag("--vocab-only", options->vocab_only, "Only the vocabulary and the keys");
  arguments.Option("--metadata", options->metadata, "A JSON file of general.* keys that go first");
  arguments.Option("--pre", options->pre, "The pre-tokenizer's name, where it is not recognized");
  arguments.Flag("--force", options->force, "Replace an output that exists");
  arguments.Flag("--json", options->json, "Print the result as JSON");
  arguments.Quiet(options->quiet);
  arguments.Threads(options->threads);
  arguments.Footer(
      "Examples:\n"
      "  quern convert ./my-model --outfile my-model-{ftype}.gguf --outtype bf16\n"
      "  quern convert ./my-model --outfile my-model.gguf --outtype q4_k_m\n"
      "  quern convert ./my-model --lora ./my-adapter --outfile merged.gguf --outtype q4_k_m\n"
      "  quern convert ./my-model --vocab-only --outfile vocab.gguf");
  return [options] { return Run(*options); };
}

}  // namespace quern::cli
