#include "cli/hf_files.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/file.h"

namespace quern::cli {
namespace fs = std::filesystem;
namespace {

constexpr auto kNames = std::to_array<std::string_view>({
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
    "README.md",
});
constexpr auto kBeginnings = std::to_array<std::string_view>({"LICENSE", "NOTICE", "USE_POLICY"});
// Named chat templates lie in a folder of their own.
constexpr std::string_view kTemplates = "additional_chat_templates";

bool IsSideFile(const std::string& name) {
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end() ||
         std::any_of(kBeginnings.begin(), kBeginnings.end(),
                     [&](std::string_view beginning) { return name.starts_with(beginning); });
}

}  // namespace

std::vector<std::pair<std::string, std::string>> ReadSideFiles(const fs::path& folder) {
  std::vector<std::pair<std::string, std::string>> files;
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

}  // namespace quern::cli
