#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "adapters/combine.h"
#include "adapters/merged_source.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json_text.h"
#include "base/parallel.h"
#include "cli/adapter_list.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/file_type_source.h"
#include "cli/grown_vocabulary.h"
#include "cli/hf_files.h"
#include "cli/size_text.h"
#include "cli/verify_output.h"
#include "convert/checkpoint.h"
#include "convert/hf_model.h"
#include "convert/hf_sink.h"
#include "gguf/gguf_reader.h"
#include "gguf/gguf_writer.h"
#include "gguf/keys.h"
#include "quant/typed_source.h"

namespace quern::cli {
namespace fs = std::filesystem;
namespace {

struct Options {
  std::vector<std::string> words;     // BASE ADAPTER... OUT
  std::vector<std::string> adapters;  // "folder" or "folder:0.5"
  std::string base, out, outtype, shard_size = "5G";
  std::string combination;  // empty: the exact weighted sum
  CombineOptions combine;
  int threads = 0;
  bool force = false, json = false, quiet = false, verify = false;

  Overwrite overwrite() const { return force ? Overwrite::kReplace : Overwrite::kRefuse; }
};

[[noreturn]] void FailUsage(const std::string& message) { Fail(ErrorKind::kUsage, "{}", message); }

// The words that no option has given: the base first, the output last, adapters between them.
void ParseWords(Options& options) {
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
void RefuseInputAsOutput(const Options& options) {
  std::vector<std::string> inputs = options.adapters;
  inputs.push_back(options.base);
  for (const std::string& input : inputs) {
    std::error_code absent;
    if (fs::equivalent(input, options.out, absent)) {
      FailUsage(fmt::format("{}: is an input and the output", options.out));
    }
  }
}

// The adapters that are merged: those of the command line, or what --combine makes of them.
std::vector<WeightedAdapter> AdaptersFor(const TensorSource& base, const BaseNames& names,
                                         const Options& options) {
  auto adapters = OpenAdapters(options.adapters, options.base);
  if (options.combination.empty()) return adapters;
  CombineOptions combine = options.combine;
  const auto combination = CombinationFromName(options.combination);
  if (!combination) FailUsage(fmt::format("--combine {}: there is no such", options.combination));
  combine.combination = *combination;
  // Each must fit the base by itself, too.
  for (const WeightedAdapter& adapter : adapters) PlanMerge(base, names, std::span(&adapter, 1));
  return {{.adapter = CombineAdapters(adapters, combine), .weight = 1}};
}

std::shared_ptr<const MergedSource> Merged(std::shared_ptr<const TensorSource> base,
                                           const BaseNames& names, const Options& options) {
  const auto adapters = AdaptersFor(*base, names, options);
  return std::make_shared<MergedSource>(std::move(base), names, adapters);
}

void CheckSpace(const Options& options, const TensorSource& source) {
  int64_t needed = 0;
  for (const TensorInfo& tensor : source.tensors()) needed += tensor.bytes();
  const uint64_t free = FreeSpace(options.out);
  if (static_cast<uint64_t>(needed) > free) {
    Fail(ErrorKind::kOutput, "{}: needs {} bytes, the disk has {} left", options.out, needed, free);
  }
}

// A source that finds NaN and Inf in what is copied, too.
std::shared_ptr<const TensorSource> Checked(std::shared_ptr<const TensorSource> source) {
  std::vector<Type> types;
  for (const TensorInfo& tensor : source->tensors()) types.push_back(tensor.type);
  return std::make_shared<TypedSource>(std::move(source), types);
}

void RefuseQuantizedFolder(const fs::path& folder) {
  const std::string name = (folder / "config.json").string();
  const auto config = ParseJson(ReadFile(name), name);
  if (config.is_object() && config.contains("quantization_config") &&
      !config["quantization_config"].is_null()) {
    Fail(ErrorKind::kUnsupported,
         "{}: has a 'quantization_config', a base of 16 or 32 bits is needed", name);
  }
}

MergeReport MergeFolder(const Options& options, Progress& progress) {
  const auto shard_bytes = ParseSize(options.shard_size);
  if (!shard_bytes || *shard_bytes == 0) {
    FailUsage(fmt::format("--max-shard-size {}: should be a number, with K, M or G behind it",
                          options.shard_size));
  }
  if (!options.outtype.empty()) {
    FailUsage("--outtype is for an output that ends in .gguf; a folder keeps the base's types");
  }
  RefuseQuantizedFolder(options.base);
  const auto side_files = ReadSideFiles(options.base);
  const std::shared_ptr<const TensorSource> base = Checkpoint::Open(options.base);
  const auto merged = Merged(base, HfBaseNames(*base), options);
  CheckSpace(options, *merged);
  HfSink sink(options.out, merged->tensors(), options.overwrite(), *shard_bytes);
  for (const auto& [name, text] : MergedSideFiles(side_files, merged->report())) {
    sink.AddFile(name, text);
  }
  Stream(*Checked(merged), sink, progress);
  sink.Commit();
  if (options.verify) VerifyOutput(*merged, *Checkpoint::Open(options.out), progress);
  return merged->report();
}

// A HF base into a GGUF file, as convert writes the merged checkpoint.
MergeReport MergeFolderIntoGguf(const Options& options, Progress& progress) {
  RefuseQuantizedFolder(options.base);
  HfModel model = HfModel::Open(options.base, {.overrides = {}, .pre = {}}, progress);
  if (!model.has_model()) FailUsage(fmt::format("{}: is no HF model folder", options.base));
  const std::shared_ptr<const TensorSource> base = Checkpoint::Open(options.base);
  const auto merged = Merged(base, HfBaseNames(*base), options);
  if (const int64_t vocab = merged->report().vocab; vocab > 0) {
    model = model.WithVocabulary(TokenizerFolder(merged->report()), vocab, progress);
  }
  const ConvertedModel converted =
      ConvertModel(model, merged, options.outtype.empty() ? "auto" : options.outtype, progress);
  CheckSpace(options, *converted.tensors);
  GgufSink sink(options.out, converted.keys, converted.tensors->tensors(), options.overwrite());
  Stream(*converted.tensors, sink, progress);
  sink.Commit();
  if (options.verify) VerifyOutput(*converted.tensors, *GgufModel::Open(options.out), progress);
  return merged->report();
}

bool IsQuantizedModel(const TensorSource& model) {
  for (const TensorInfo& tensor : model.tensors()) {
    if (IsQuantized(tensor.type)) return true;
  }
  return false;
}

MergeReport MergeGguf(const Options& options, Progress& progress) {
  std::optional<FileType> type;
  if (!options.outtype.empty()) {
    type = FileTypeFromName(options.outtype);
    if (!type) FailUsage(fmt::format("--outtype {}: there is no such type", options.outtype));
  }
  const auto model = GgufModel::Open(options.base);
  if (IsQuantizedModel(*model)) {
    if (!type) {
      FailUsage(fmt::format("{}: is quantized: say with --outtype what the merged model should be",
                            options.base));
    }
    progress.Note(fmt::format(
        "{}: is quantized: what the adapter changes is decoded, merged and encoded anew, and loses "
        "a little more than a merge into the original would",
        options.base));
  }
  const auto merged = Merged(model, GgufBaseNames(*model, model->metadata()), options);
  Metadata metadata = model->metadata();
  for (const std::string_view key : {keys::kSplitNo, keys::kSplitCount, keys::kSplitTensors}) {
    metadata.Remove(key);
  }
  if (merged->report().vocab > 0) GrowVocabulary(merged->report(), metadata, progress);
  const auto source = type ? QuantizedSource(merged, *type, metadata) : Checked(merged);
  CheckSpace(options, *source);
  GgufSink sink(options.out, metadata, source->tensors(), options.overwrite());
  Stream(*source, sink, progress);
  sink.Commit();
  if (options.verify) VerifyOutput(*source, *GgufModel::Open(options.out), progress);
  return merged->report();
}

void PrintJson(const Options& options, const MergeReport& report) {
  nlohmann::ordered_json out;
  out["base"] = options.base;
  out["adapters"] = options.adapters;
  out["output"] = options.out;
  out["deltas"] = nlohmann::ordered_json::array();
  for (const MergeDelta& delta : report.deltas) {
    out["deltas"].push_back({{"tensor", delta.tensor},
                             {"kind", delta.kind},
                             {"adapter", delta.adapter},
                             {"rank", delta.rank},
                             {"scale", delta.scale},
                             {"norm", delta.norm}});
  }
  out["total_norm"] = report.total_norm;
  out["untied"] = report.untied;
  if (report.vocab > 0) out["vocab_size"] = report.vocab;
  out["notes"] = report.notes;
  fmt::print("{}\n", out.dump(1, ' ', false, nlohmann::json::error_handler_t::replace));
}

void PrintText(const Options& options, const MergeReport& report) {
  fmt::print("{:<52} {:<6} {:>5} {:>10} {:>12}\n", "tensor", "kind", "rank", "scale",
             "norm of delta");
  for (const MergeDelta& delta : report.deltas) {
    fmt::print("{:<52} {:<6} {:>5} {:>10.4g} {:>12.5g}\n", delta.tensor, delta.kind, delta.rank,
               delta.scale, delta.norm);
  }
  fmt::print("{} deltas of {} adapter{}, norm {:.5g} in all\n{}\n", report.deltas.size(),
             options.adapters.size(), options.adapters.size() == 1 ? "" : "s", report.total_norm,
             options.out);
}

int Run(Options& options) {
  ParseWords(options);
  const bool into_gguf = IsGguf(options.out), of_folder = fs::is_directory(options.base);
  if (!of_folder && !into_gguf) {
    FailUsage(fmt::format("{}: a GGUF base gives a GGUF file, its name should end in .gguf",
                          options.out));
  }
  RefuseInputAsOutput(options);
  const ThreadLimit limit(options.threads);
  const auto progress = MakeProgress(options.quiet);
  const MergeReport report = !of_folder  ? MergeGguf(options, *progress)
                             : into_gguf ? MergeFolderIntoGguf(options, *progress)
                                         : MergeFolder(options, *progress);
  for (const std::string& note : report.notes) progress->Note(note);
  if (options.json) {
    PrintJson(options, report);
  } else {
    PrintText(options, report);
  }
  return 0;
}

}  // namespace

std::function<int()> DefineMergeLora(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("FILES", options->words,
                 "The base (a HF folder or a GGUF file), the adapters (PEFT folders, each with "
                 ":WEIGHT behind it if not all of it is wanted), the output")
      ->type_name("BASE ADAPTER[:WEIGHT]... OUT");
  app.add_option("-m,--model", options->base, "The base")->type_name("BASE");
  app.add_option("--lora", options->adapters, "An adapter; may be repeated")
      ->allow_extra_args(false)
      ->type_name("ADAPTER");
  app.add_option("--lora-scaled", options->adapters, "Adapters with weights; may be repeated")
      ->allow_extra_args(false)
      ->delimiter(',')
      ->type_name("ADAPTER:WEIGHT,...");
  app.add_option("-o,--output", options->out,
                 "The output: a GGUF file where it ends in .gguf, otherwise a HF folder")
      ->type_name("OUT");
  app.add_option("--combine", options->combination,
                 "Make one adapter of several first, as PEFT's add_weighted_adapter does: cat, "
                 "linear, svd, ties, dare_linear, dare_ties, magnitude_prune; otherwise they are "
                 "summed exactly");
  app.add_option("--density", options->combine.density,
                 "The share of weights that ties, dare and magnitude_prune keep")
      ->capture_default_str();
  app.add_flag("--elect-by-count", options->combine.by_frequency,
               "ties: a sign is elected by how many have it, not by the sum");
  app.add_option("--svd-rank", options->combine.svd_rank, "svd: the rank, 0: the largest there is")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--seed", options->combine.seed, "dare: which weights are dropped");
  app.add_option("--outtype", options->outtype,
                 "The type of a GGUF output: f32, f16, bf16, q8_0, q4_k_m, ...");
  app.add_option("--max-shard-size", options->shard_size,
                 "The largest safetensors file of a folder: N, NK, NM or NG bytes")
      ->capture_default_str();
  app.add_flag("--verify", options->verify,
               "Read the output back and compare it with W + B A computed anew");
  app.add_flag("--force", options->force, "Replace an output that exists");
  app.add_flag("--json", options->json, "Print the deltas as JSON");
  app.add_flag("-q,--quiet", options->quiet, "No progress");
  app.add_option("--threads", options->threads, "Threads, 0: all cores")
      ->check(CLI::NonNegativeNumber);
  app.footer(
      "Examples:\n"
      "  quern merge-lora ./my-model ./my-adapter ./merged\n"
      "  quern merge-lora my-model-bf16.gguf ./one:0.7 ./two:0.3 merged-bf16.gguf");
  return [options] { return Run(*options); };
}

}  // namespace quern::cli
