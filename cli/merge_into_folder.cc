#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/json_text.h"
#include "cli/adapter_list.h"
#include "cli/hf_files.h"
#include "cli/merge_lora.h"
#include "cli/size_text.h"
#include "cli/verify_output.h"
#include "convert/checkpoint.h"
#include "convert/hf_sink.h"
#include "convert/json_fields.h"
#include "convert/llama_pth.h"
#include "convert/pth_sink.h"
#include "quant/typed_source.h"

namespace quern::cli {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void FailUsage(const std::string& message) { Fail(ErrorKind::kUsage, "{}", message); }

// The type that a folder's config.json wants its weights in.
Type ConfigType(const fs::path& folder) {
  const std::string name = (folder / "config.json").string();
  const auto json = ParseJson(ReadFile(name), name);
  const JsonFields config(json, name);
  auto text = config.Text("dtype");
  if (!text) text = config.Text("torch_dtype");
  return text == "bfloat16" ? Type::kBF16 : text == "float32" ? Type::kF32 : Type::kF16;
}

// The merged weights of a folder in the base's types, and NaN and Inf found in what is copied, too.
// LLM.int8 does not tell what it was made from: its weights take the config's type.
std::shared_ptr<const TensorSource> FolderSource(const Merge& merge) {
  const auto& decoded = merge.base.decoded;
  std::vector<Type> types;
  for (const TensorInfo& tensor : merge.tensors->tensors()) {
    const auto index = decoded ? decoded->Find(tensor.name) : std::nullopt;
    const bool is_int8 = index && decoded->IsInt8(*index);
    types.push_back(is_int8 ? ConfigType(merge.base.path) : tensor.type);
  }
  return std::make_shared<TypedSource>(merge.tensors, types);
}

// The names by which a check finds the tensors of Llama's own checkpoint.
BaseNames CheckpointNames(const TensorSource& merged, const LlamaNamed& named) {
  BaseNames names;
  for (size_t t = 0; t < named.origins.size(); ++t) {
    const bool is_output = named.tensors->tensors()[t].name == kLlamaOutput;
    names.tensors.push_back(
        {.hf_name = is_output ? kOutputHfName : merged.tensors()[named.origins[t]].name,
         .head_rows = named.head_rows[t]});
  }
  return names;
}

}  // namespace

std::unique_ptr<MergeRecord> MergeIntoFolder(const MergeOptions& options, Progress& progress) {
  const auto shard_bytes = ParseSize(options.shard_size);
  if (!shard_bytes || *shard_bytes == 0) {
    FailUsage(fmt::format("--max-shard-size {}: should be a number, with K, M or G behind it",
                          options.shard_size));
  }
  if (!options.outtype.empty()) {
    FailUsage("--outtype is for an output that ends in .gguf; a folder keeps the base's types");
  }
  const auto side_files = ReadSideFiles(options.base);
  Merge merge = PlanMergeOf(OpenHfBase(options.base, options.base_mode), options);
  const auto source = FolderSource(merge);
  CheckSpace(options, *source);
  HfSink sink(options.out, source->tensors(), options.overwrite(), *shard_bytes);
  for (const auto& [name, text] : MergedSideFiles(side_files, merge.report())) {
    sink.AddFile(name, text);
  }
  Stream(*source, sink, progress);
  sink.AddFile(kMergeManifest, merge.record->Manifest(options.out));
  sink.Commit();
  if (options.verify) {
    const auto written = Checkpoint::Open(options.out);
    VerifyOutput(*source, *written, progress);
    VerifyMerge(options, *merge.record, *written, HfBaseNames(*written));
  }
  return std::move(merge.record);
}

std::unique_ptr<MergeRecord> MergeIntoPth(const MergeOptions& options, Progress& progress) {
  if (!options.outtype.empty()) {
    FailUsage("--outtype is for an output that ends in .gguf; a folder keeps the base's types");
  }
  const auto side_files = ReadSideFiles(options.base);
  const ModelConfig config = ReadModelConfig(options.base, progress);
  Merge merge = PlanMergeOf(OpenHfBase(options.base, options.base_mode), options);
  const LlamaNamed named = MakeLlamaNamed(FolderSource(merge), config);
  const auto& source = named.tensors;
  CheckSpace(options, *source);
  PthSink sink(options.out, source->tensors(), options.overwrite());
  sink.AddFile("params.json", LlamaParams(config));
  for (const auto& [name, text] : MergedSideFiles(side_files, merge.report())) {
    if (name == "tokenizer.model" || IsLicence(name)) sink.AddFile(name, text);
  }
  Stream(*source, sink, progress);
  sink.AddFile(kMergeManifest, merge.record->Manifest(options.out));
  sink.Commit();
  if (options.verify) {
    const auto written = Checkpoint::Open(fs::path(options.out) / "consolidated.00.pth");
    VerifyOutput(*source, *written, progress);
    VerifyMerge(options, *merge.record, *written, CheckpointNames(*merge.tensors, named));
  }
  return std::move(merge.record);
}

}  // namespace quern::cli
