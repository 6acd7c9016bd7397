#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "adapters/extraction.h"
#include "base/error.h"
#include "base/parallel.h"
#include "cli/any_source.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/json_output.h"
#include "cli/peft_folder.h"

namespace quern::cli {
namespace {

struct Options {
  std::string base, tuned, out;
  int64_t rank = 16;
  int threads = 0;
  bool force = false, json = false, quiet = false;
};

BaseNames NamesOf(const AnySource& model) {
  return model.gguf ? GgufBaseNames(*model.gguf, model.gguf->metadata())
                    : HfBaseNames(*model.source);
}

// How many layers the names tell of.
int64_t LayersOf(const BaseNames& names) {
  constexpr std::string_view kLayers = "model.layers.";
  int64_t layers = 0;
  for (const BaseTensor& tensor : names.tensors) {
    if (!tensor.hf_name.starts_with(kLayers)) continue;
    int64_t layer = 0;
    const char* begin = tensor.hf_name.data() + kLayers.size();
    std::from_chars(begin, tensor.hf_name.data() + tensor.hf_name.size(), layer);
    layers = std::max(layers, layer + 1);
  }
  return layers;
}

// Over all modules: the share of all squares that is kept.
ExtractedEnergy TotalOf(const std::vector<ExtractedEnergy>& energies) {
  double all = 0, kept = 0;
  for (const ExtractedEnergy& energy : energies) {
    all += energy.norm * energy.norm;
    kept += energy.kept * energy.norm * energy.norm;
  }
  return {.norm = std::sqrt(all), .kept = kept / all};
}

void Print(const Options& options, const Extraction& extraction,
           const std::vector<ExtractedEnergy>& energies) {
  const ExtractedEnergy total = TotalOf(energies);
  if (options.json) {
    nlohmann::ordered_json out = {{"output", options.out}, {"modules", nlohmann::json::array()}};
    for (size_t i = 0; i < energies.size(); ++i) {
      out["modules"].push_back({{"module", extraction.modules[i].module},
                                {"rank", extraction.modules[i].rank},
                                {"norm", energies[i].norm},
                                {"kept", energies[i].kept}});
    }
    out["norm"] = total.norm;
    out["kept"] = total.kept;
    out["notes"] = extraction.notes;
    WriteJson(out);
    return;
  }
  fmt::print("{:<48} {:>5} {:>14} {:>12}\n", "module", "rank", "norm of delta", "energy kept");
  for (size_t i = 0; i < energies.size(); ++i) {
    fmt::print("{:<48} {:>5} {:>14.5g} {:>11.3f}%\n", extraction.modules[i].module,
               extraction.modules[i].rank, energies[i].norm, 100 * energies[i].kept);
  }
  fmt::print("{} modules, norm {:.5g}, energy kept {:.3f}%\n{}\n", energies.size(), total.norm,
             100 * total.kept, options.out);
}

int Run(const Options& options) {
  const ThreadLimit limit(options.threads);
  const auto progress = MakeProgress(options.quiet);
  const AnySource base = OpenAny(options.base), tuned = OpenAny(options.tuned);
  const BaseNames base_names = NamesOf(base), tuned_names = NamesOf(tuned);
  const NamedModel before{*base.source, base_names}, after{*tuned.source, tuned_names};
  const Extraction extraction = PlanExtraction(before, after, options.rank);
  for (const std::string& note : extraction.notes) progress->Note(note);
  LoraConfig config = ExtractedConfig(extraction, options.rank, LayersOf(base_names));
  config.base_model = options.base;
  const auto sink = PeftFolder(options.out, config, ExtractedTensors(extraction),
                               options.force ? Overwrite::kReplace : Overwrite::kRefuse);
  const auto energies = Extract(before, after, extraction, *sink, *progress);
  sink->Commit();
  Print(options, extraction, energies);
  return 0;
}

}  // namespace

std::function<int()> DefineExtractLora(const Arguments& arguments) {
  auto options = std::make_shared<Options>();
  arguments.Option("BASE", options->base, "The model before: a HF folder or a GGUF file")
      .Required();
  arguments.Option("TUNED", options->tuned, "The model after, likewise").Required();
  arguments.Option("OUT", options->out, "The PEFT folder to make").Required();
  arguments.Option("--rank", options->rank, "The rank of A and B at most").ShowDefault().Positive();
  arguments.Flag("--force", options->force, "Replace an output that exists");
  arguments.Flag("--json", options->json, "Norms and energies as JSON");
  arguments.Quiet(options->quiet);
  arguments.Threads(options->threads);
  arguments.Footer(
      "Example:\n  quern extract-lora ./my-model ./my-model-tuned ./my-adapter --rank 32");
  return [options] { return Run(*options); };
}

}  // namespace quern::cli
