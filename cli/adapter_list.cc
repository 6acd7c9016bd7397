#include "cli/adapter_list.h"

#include <charconv>
#include <cmath>
#include <filesystem>

#include "adapters/gguf_adapter.h"
#include "base/error.h"
#include "base/file.h"
#include "cli/base_keys.h"
#include "cli/command.h"
#include "convert/checkpoint.h"

namespace quern::cli {
namespace fs = std::filesystem;
namespace {

struct NamedAdapter {
  fs::path path;
  double weight = 1;
};

// A folder whose own name has a colon is that folder.
NamedAdapter ParseName(const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || fs::exists(text)) return {text};
  const std::string number = text.substr(colon + 1);
  double weight = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), weight);
  if (error != std::errc() || end != number.data() + number.size() || !std::isfinite(weight)) {
    Fail(ErrorKind::kUsage, "{}: '{}' is no weight for an adapter", text, number);
  }
  return {text.substr(0, colon), weight};
}

}  // namespace

std::shared_ptr<const LoraAdapter> OpenPeftAdapter(const fs::path& folder) {
  const fs::path config = folder / "adapter_config.json";
  if (!fs::exists(config)) {
    Fail(ErrorKind::kBadInput, "{}: is no PEFT adapter, it has no adapter_config.json",
         folder.string());
  }
  for (const char* name : {"adapter_model.safetensors", "adapter_model.bin"}) {
    if (!fs::exists(folder / name)) continue;
    return std::make_shared<LoraAdapter>(ParseLoraConfig(ReadFile(config), config.string()),
                                         Checkpoint::Open(folder / name));
  }
  Fail(ErrorKind::kBadInput, "{}: has neither adapter_model.safetensors nor adapter_model.bin",
       folder.string());
}

std::vector<WeightedAdapter> OpenAdapters(std::span<const std::string> texts,
                                          const fs::path& base) {
  std::vector<WeightedAdapter> adapters;
  for (const std::string& text : texts) {
    const NamedAdapter named = ParseName(text);
    adapters.push_back({.adapter = fs::is_regular_file(named.path)
                                       ? OpenGgufAdapter(GgufModel::Open(named.path),
                                                         BaseKeys(base, *MakeProgress(true)))
                                       : OpenPeftAdapter(named.path),
                        .weight = named.weight});
  }
  return adapters;
}

fs::path TokenizerFolder(const MergeReport& report) {
  if (report.vocab == 0) return {};
  const fs::path folder = fs::path(report.vocab_adapter).parent_path();
  const bool has = fs::exists(folder / "tokenizer.json") || fs::exists(folder / "tokenizer.model");
  return has ? folder : fs::path();
}

void NoteMerge(const MergeReport& report, Progress& progress) {
  for (const std::string& note : report.notes) progress.Note(note);
  for (const MergeDelta& delta : report.deltas) {
    progress.Note(fmt::format("{} of {}: {}, rank {}, scale {:.4g}, norm {:.4g}", delta.tensor,
                              delta.adapter, delta.kind, delta.rank, delta.scale, delta.norm));
  }
  progress.Note(
      fmt::format("norm of all {} deltas: {:.4g}", report.deltas.size(), report.total_norm));
}

}  // namespace quern::cli
