#include "cli/merge_lora.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/parallel.h"
#include "cli/adapter_list.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/file_type_source.h"
#include "cli/grown_vocabulary.h"
#include "cli/verify_output.h"
#include "convert/hf_model.h"
#include "gguf/gguf_reader.h"
#include "gguf/gguf_writer.h"
#include "gguf/keys.h"
#include "quant/typed_source.h"

namespace quern::cli {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void FailUsage(const std::string& message) { Fail(ErrorKind::kUsage, "{}", message); }

// The words that no option has given: the base first, the output last, adapters between them.
void ParseWords(MergeOptions& options) {
  auto words = options.words;
  if (options.base.empty()) {
    if (words.empty()) FailUsage("which base? quern merge-lora BASE ADAPTER OUT");
    options.base = words.front();
    words.erase(words.begin());
  }
  if (options.out.empty()) {
    if (words.empty()) FailUsage("where to? quern merge-lora BASE ADAPTER OUT");
    options.out = words.back();
    words.pop_back();
  }
  options.adapters.insert(options.adapters.begin(), words.begin(), words.end());
  if (options.adapters.empty()) FailUsage("which adapter? quern merge-lora BASE ADAPTER OUT");
}

bool IsGguf(const fs::path& path) { return path.extension() == ".gguf"; }

// An output in the place of an input would destroy what is being read.
void RefuseInputAsOutput(const MergeOptions& options) {
  std::vector<std::string> inputs = options.adapters;
  inputs.push_back(options.base);
  for (const std::string& input : inputs) {
    std::error_code absent;
    if (fs::equivalent(input, options.out, absent)) {
      FailUsage(fmt::format("{}: is an input and the output", options.out));
    }
  }
}

// A source that finds NaN and Inf in what is copied, too.
std::shared_ptr<const TensorSource> Checked(std::shared_ptr<const TensorSource> source) {
  std::vector<Type> types;
  for (const TensorInfo& tensor : source->tensors()) types.push_back(tensor.type);
  return std::make_shared<TypedSource>(std::move(source), types);
}

// Writes a merged model as a GGUF file, its record within and beside it.
void WriteGguf(const MergeOptions& options, const TensorSource& source, Metadata keys,
               MergeRecord& record, Progress& progress) {
  CheckSpace(options, source);
  record.SetKeys(keys);
  GgufSink sink(options.out, keys, source.tensors(), options.overwrite());
  Stream(source, sink, progress);
  record.CompleteKeys(sink);
  sink.Commit();
  record.WriteBeside(options.out);
  if (!options.verify) return;
  const auto written = GgufModel::Open(options.out);
  VerifyOutput(source, *written, progress);
  VerifyMerge(options, record, *written, GgufBaseNames(*written, written->metadata()));
}

// A HF base into a GGUF file, as convert writes the merged checkpoint.
std::unique_ptr<MergeRecord> MergeFolderIntoGguf(const MergeOptions& options, Progress& progress) {
  HfModel model = HfModel::Open(options.base, {.overrides = {}, .pre = {}}, progress);
  if (!model.has_model()) FailUsage(fmt::format("{}: is no HF model folder", options.base));
  Merge merge = PlanMergeOf(OpenHfBase(options.base, options.base_mode), options);
  if (const int64_t vocab = merge.report().vocab; vocab > 0) {
    model = model.WithVocabulary(TokenizerFolder(merge.report()), vocab, progress);
  }
  const ConvertedModel converted = ConvertModel(
      model, merge.tensors, options.outtype.empty() ? "auto" : options.outtype, progress);
  WriteGguf(options, *converted.tensors, converted.keys, *merge.record, progress);
  return std::move(merge.record);
}

std::unique_ptr<MergeRecord> MergeGguf(const MergeOptions& options, Progress& progress) {
  std::optional<FileType> type;
  if (!options.outtype.empty()) {
    type = FileTypeFromName(options.outtype);
    if (!type) FailUsage(fmt::format("--outtype {}: there is no such type", options.outtype));
  }
  const auto model = GgufModel::Open(options.base);
  Merge merge = PlanMergeOf(OpenGgufBase(model, options.base_mode), options);
  const auto& tensors = model->tensors();
  if (std::any_of(tensors.begin(), tensors.end(),
                  [](const TensorInfo& tensor) { return IsQuantized(tensor.type); })) {
    if (!type) {
      FailUsage(fmt::format("{}: is quantized: say with --outtype what the merged model should be",
                            options.base));
    }
    progress.Note(fmt::format(
        "{}: is quantized: what the adapter changes is decoded, merged and encoded anew, and loses "
        "a little more than a merge into the original would",
        options.base));
  }
  Metadata metadata = model->metadata();
  for (const std::string_view key : {keys::kSplitNo, keys::kSplitCount, keys::kSplitTensors}) {
    metadata.Remove(key);
  }
  if (merge.report().vocab > 0) GrowVocabulary(merge.report(), metadata, progress);
  const auto source =
      type ? QuantizedSource(merge.tensors, *type, metadata) : Checked(merge.tensors);
  WriteGguf(options, *source, std::move(metadata), *merge.record, progress);
  return std::move(merge.record);
}

void PrintText(const MergeOptions& options, const MergeRecord& record) {
  const MergeReport& report = record.report();
  fmt::print("{:<52} {:<6} {:>5} {:>10} {:>12}\n", "tensor", "kind", "rank", "scale",
             "norm of delta");
  for (const MergeDelta& delta : report.deltas) {
    fmt::print("{:<52} {:<6} {:>5} {:>10.4g} {:>12.5g}\n", delta.tensor, delta.kind, delta.rank,
               delta.scale, delta.norm);
  }
  fmt::print("{} deltas of {} adapter{}, norm {:.5g} in all\n", report.deltas.size(),
             options.adapters.size(), options.adapters.size() == 1 ? "" : "s", report.total_norm);
  if (const auto& check = record.check()) {
    fmt::print("verified: {} tensors, {} of them changed, at most {:.3f} steps from W + B A{}\n",
               check->tensors, check->changed, check->max_steps,
               check->worst.empty() ? "" : fmt::format(" ({})", check->worst));
    if (check->quantized > 0) {
      fmt::print("verified: {} quantized tensors, byte for byte as the merge gives them anew\n",
                 check->quantized);
    }
  }
  fmt::print("{}\n", options.out);
}

int Run(MergeOptions& options) {
  ParseWords(options);
  const bool into_gguf = IsGguf(options.out), of_folder = fs::is_directory(options.base);
  if (!of_folder && !into_gguf) {
    FailUsage(fmt::format("{}: a GGUF base gives a GGUF file, its name should end in .gguf",
                          options.out));
  }
  if (options.format != "hf" && into_gguf) {
    FailUsage("--format is for a folder, the output ends in .gguf");
  }
  RefuseInputAsOutput(options);
  const ThreadLimit limit(options.threads);
  const auto progress = MakeProgress(options.quiet);
  const auto record = !of_folder                ? MergeGguf(options, *progress)
                      : into_gguf               ? MergeFolderIntoGguf(options, *progress)
                      : options.format == "pth" ? MergeIntoPth(options, *progress)
                                                : MergeIntoFolder(options, *progress);
  for (const std::string& note : record->report().notes) progress->Note(note);
  if (options.json) {
    fmt::print("{}", record->Manifest(options.out));
  } else {
    PrintText(options, *record);
  }
  return 0;
}

}  // namespace

std::function<int()> DefineMergeLora(const Arguments& arguments) {
  auto options = std::make_shared<MergeOptions>();
  arguments
      .Option("FILES", options->words,
              "The base (a HF folder or a GGUF file), the adapters (PEFT folders, each with "
              ":WEIGHT behind it if not all of it is wanted), the output")
      .Kind("BASE ADAPTER[:WEIGHT]... OUT");
  arguments.Option("-m,--model", options->base, "The base").Kind("BASE");
  arguments.Option("--lora", options->adapters, "An adapter; may be repeated")
      .Repeated()
      .Kind("ADAPTER");
  arguments.Option("--lora-scaled", options->adapters, "Adapters with weights; may be repeated")
      .Repeated()
      .Separated(',')
      .Kind("ADAPTER:WEIGHT,...");
  arguments
      .Option("-o,--output", options->out,
              "The output: a GGUF file where it ends in .gguf, otherwise a HF folder")
      .Kind("OUT");
  arguments
      .Option("--format", options->format,
              "What a folder is: hf, or pth, the consolidated.00.pth and params.json that "
              "Llama's own code loads")
      .Among({"hf", "pth"})
      .ShowDefault();
  arguments.Option("--combine", options->combination,
                   "Make one adapter of several first, as PEFT's add_weighted_adapter does: cat, "
                   "linear, svd, ties, dare_linear, dare_ties, magnitude_prune, and with _svd "
                   "behind it each of the last four; otherwise they are summed exactly");
  arguments
      .Option("--density", options->combine.density,
              "The share of weights that ties, dare and magnitude_prune keep")
      .ShowDefault();
  arguments.Flag("--elect-by-count", options->combine.by_frequency,
                 "ties: a sign is elected by how many have it, not by the sum");
  arguments
      .Option("--svd-rank", options->combine.svd_rank,
              "svd and ..._svd: the rank, 0: the largest there is")
      .NonNegative();
  arguments.Option("--seed", options->combine.seed, "dare: which weights are dropped");
  AddBaseMode(arguments, options->base_mode);
  arguments.Option("--outtype", options->outtype,
                   "The type of a GGUF output: f32, f16, bf16, q8_0, q4_k_m, ...");
  arguments
      .Option("--max-shard-size", options->shard_size,
              "The largest safetensors file of a folder: N, NK, NM or NG bytes")
      .ShowDefault();
  arguments.Flag(
      "--verify", options->verify,
      "Read the output back, compare it byte for byte with the merge done again, and with W + "
      "B A computed in double by code of its own");
  arguments.Flag("--force", options->force, "Replace an output that exists");
  arguments.Flag("--json", options->json,
                 "Print the manifest of the merge: what was merged, and every delta");
  arguments.Quiet(options->quiet);
  arguments.Threads(options->threads);
  arguments.Footer(
      "Examples:\n"
      "  quern merge-lora ./my-model ./my-adapter ./merged\n"
      "  quern merge-lora my-model-bf16.gguf ./one:0.7 ./two:0.3 merged-bf16.gguf");
  return [options] { return Run(*options); };
}

}  // namespace quern::cli
