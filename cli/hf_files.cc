#include "cli/hf_files.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <span>
#include <string_view>

#include "base/error.h"
#include "base/file.h"
#include "base/json_text.h"
#include "cli/adapter_list.h"

namespace quern::cli {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kConfig = "config.json";
constexpr auto kModelNames =
    std::to_array<std::string_view>({kConfig, "generation_config.json", "README.md"});
constexpr auto kTokenizerNames = std::to_array<std::string_view>({
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
});
constexpr auto kBeginnings = std::to_array<std::string_view>({"LICENSE", "NOTICE", "USE_POLICY"});
// Named chat templates lie in a folder of their own.
constexpr std::string_view kTemplates = "additional_chat_templates";

bool Has(std::span<const std::string_view> names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool IsTokenizerFile(const std::string& name) {
  return Has(kTokenizerNames, name) || name.starts_with(kTemplates);
}

bool IsSideFile(const std::string& name) {
  return Has(kModelNames, name) || IsTokenizerFile(name) || IsLicence(name);
}

// The weights are no longer quantized, whatever the base's were. A config that says nothing else
// than before stays as it is.
std::string MergedConfig(const std::string& text, const MergeReport& report) {
  auto config = ParseOrderedJson(text, std::string(kConfig));
  if (!config.is_object()) Fail(ErrorKind::kBadInput, "{}: is no JSON object", kConfig);
  const bool was_quantized = config.erase("quantization_config") > 0;
  if (!was_quantized && !report.untied && report.vocab == 0) return text;
  if (report.untied) config["tie_word_embeddings"] = false;
  if (report.vocab > 0) config["vocab_size"] = report.vocab;
  return config.dump(2) + "\n";
}

}  // namespace

bool IsLicence(const std::string& name) {
  return std::any_of(kBeginnings.begin(), kBeginnings.end(),
                     [&](std::string_view beginning) { return name.starts_with(beginning); });
}

SideFiles ReadSideFiles(const fs::path& folder) {
  SideFiles files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_regular_file() && IsSideFile(name)) {
      files.emplace_back(name, ReadFile(entry.path()));
    }
  }
  if (fs::is_directory(folder / kTemplates)) {
    for (const auto& entry : fs::directory_iterator(folder / kTemplates)) {
      if (!entry.is_regular_file() || entry.path().extension() != ".jinja") continue;
      files.emplace_back((fs::path(kTemplates) / entry.path().filename()).string(),
                         ReadFile(entry.path()));
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

SideFiles MergedSideFiles(SideFiles files, const MergeReport& report) {
  for (auto& [name, text] : files) {
    if (name == kConfig) text = MergedConfig(text, report);
  }
  const fs::path tokenizer = TokenizerFolder(report);
  if (tokenizer.empty()) return files;
  std::erase_if(files, [](const auto& file) { return IsTokenizerFile(file.first); });
  for (auto& file : ReadSideFiles(tokenizer)) {
    if (IsTokenizerFile(file.first)) files.push_back(std::move(file));
  }
  return files;
}

}  // namespace quern::cli
