#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "adapters/gguf_adapter.h"
#include "adapters/gguf_adapter_source.h"
#include "adapters/lora_config_text.h"
#include "adapters/merged_source.h"
#include "base/error.h"
#include "cli/adapter_list.h"
#include "cli/arguments.h"
#include "cli/base_keys.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/json_output.h"
#include "cli/lora_base.h"
#include "cli/peft_folder.h"
#include "gguf/gguf_writer.h"
#include "gguf/keys.h"
#include "quant/typed_source.h"

namespace quern::cli {
namespace fs = std::filesystem;
namespace {

struct Options {
  std::string adapter, base, out, outtype = "f32";
  bool force = false, json = false, quiet = false;

  Overwrite overwrite() const { return force ? Overwrite::kReplace : Overwrite::kRefuse; }
};

struct Result {
  std::string out;
  size_t modules;
  double alpha;
};

Type TypeOf(const std::string& name) {
  for (const Type type : {Type::kF32, Type::kF16, Type::kBF16}) {
    if (name == NameOf(type)) return type;
  }
  Fail(ErrorKind::kUsage, "--outtype {}: f32, f16 or bf16 is possible", name);
}

// The base as --base names it, or the adapter's own config, where that is a folder here.
fs::path BaseOf(const Options& options, const LoraConfig& config) {
  if (!options.base.empty()) return options.base;
  const fs::path folder(config.base_model);
  for (const fs::path& candidate : {folder, fs::path(options.adapter).parent_path() / folder}) {
    if (!config.base_model.empty() && fs::exists(candidate / "config.json")) return candidate;
  }
  Fail(ErrorKind::kUsage,
       "{}: is made for '{}', which is no folder here: name the base's folder (its config.json is "
       "enough) or GGUF file with --base",
       options.adapter, config.base_model);
}

Result IntoGguf(const Options& options, Progress& progress) {
  const auto adapter = OpenPeftAdapter(options.adapter);
  const LoraBase base = OpenLoraBase(BaseOf(options, adapter->config()), progress);
  const WeightedAdapter weighted{.adapter = adapter, .weight = 1};
  const MergePlan plan = PlanMerge(*base.tensors, base.names, std::span(&weighted, 1));
  const Arch& arch = *FindArch(base.keys.NeedText(keys::kArchitecture));
  const GgufAdapterSource source(adapter->name(), plan, arch, TypeOf(options.outtype));
  for (const std::string& note : plan.report.notes) progress.Note(note);
  const std::string out = options.out.empty()
                              ? (fs::path(options.adapter) / "adapter-lora.gguf").string()
                              : options.out;
  const std::string title = fs::weakly_canonical(options.adapter).filename().string();
  GgufSink sink(out, source.Keys(base.keys, title), source.tensors(), options.overwrite());
  Stream(source, sink, progress);
  sink.Commit();
  return {out, source.tensors().size() / 2, source.alpha()};
}

// Keys that tell how rows are ordered: of the base, or what a file of ours says itself.
Metadata KeysFor(const Options& options, const GgufModel& file, Progress& progress) {
  if (!options.base.empty()) return BaseKeys(options.base, progress);
  const std::string arch_name = file.metadata().NeedText(keys::kArchitecture);
  const Arch* arch = FindArch(arch_name);
  for (const TensorRule& rule : arch ? arch->tensors : std::span<const TensorRule>()) {
    if (rule.order != RowOrder::kAsIs &&
        !file.metadata().Has(arch_name + ".attention.head_count")) {
      Fail(ErrorKind::kUsage,
           "{}: does not say how many heads its base has, on which the order of rows depends: name "
           "the base's folder or GGUF file with --base",
           options.adapter);
    }
  }
  return file.metadata();
}

Result IntoPeft(const Options& options, Progress& progress) {
  if (options.out.empty()) Fail(ErrorKind::kUsage, "which folder should it be? --outfile FOLDER");
  const std::shared_ptr<const GgufModel> file = GgufModel::Open(options.adapter);
  const Metadata base = KeysFor(options, *file, progress);
  const auto adapter = OpenGgufAdapter(file, base);
  LoraConfig config = adapter->config();
  config.base_model = options.base;
  const std::string count = file->metadata().NeedText(keys::kArchitecture) + ".block_count";
  config.target_modules.names =
      ShortTargets(config.target_modules.names, base.Int(count).value_or(0));
  const auto& tensors = adapter->tensors();
  const TypedSource typed(std::shared_ptr<const TensorSource>(adapter, &tensors),
                          std::vector<Type>(tensors.tensors().size(), TypeOf(options.outtype)));
  const auto sink = PeftFolder(options.out, config, typed.tensors(), options.overwrite());
  Stream(typed, *sink, progress);
  sink->Commit();
  return {options.out, tensors.tensors().size() / 2, config.alpha};
}

int Run(const Options& options) {
  const auto progress = MakeProgress(options.quiet);
  const Result result = fs::is_regular_file(options.adapter) ? IntoPeft(options, *progress)
                                                             : IntoGguf(options, *progress);
  if (options.json) {
    const nlohmann::ordered_json out = {
        {"output", result.out}, {"modules", result.modules}, {"alpha", result.alpha}};
    WriteJson(out);
  } else {
    fmt::print("{}: {} modules, alpha {:g}\n", result.out, result.modules, result.alpha);
  }
  return 0;
}

}  // namespace

std::function<int()> DefineConvertLora(const Arguments& arguments) {
  auto options = std::make_shared<Options>();
  arguments.Option("ADAPTER", options->adapter, "A PEFT folder, or an adapter's GGUF file")
      .Required();
  arguments.Option(
      "--outfile", options->out,
      "A GGUF file (adapter-lora.gguf in the folder), or of a GGUF file a PEFT folder");
  arguments.Option(
      "--base", options->base,
      "The model that it is for: a HF folder, of which config.json is enough, or a GGUF "
      "file");
  arguments.Option("--outtype", options->outtype, "The type of A and B: f32, f16 or bf16")
      .ShowDefault();
  arguments.Flag("--force", options->force, "Replace an output that exists");
  arguments.Flag("--json", options->json, "What was written, as JSON");
  arguments.Quiet(options->quiet);
  arguments.Footer(
      "Examples:\n"
      "  quern convert-lora ./my-adapter --base ./my-model --outfile my-adapter.gguf\n"
      "  quern convert-lora my-adapter.gguf --base ./my-model --outfile ./my-adapter");
  return [options] { return Run(*options); };
}

}  // namespace quern::cli
