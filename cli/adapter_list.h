#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "adapters/merge_plan.h"
#include "base/progress.h"

namespace quern::cli {

// Adapters as users name them: a PEFT folder or an adapter's GGUF file, or "folder:0.5" for half of
// it. base: the model that they are for, of which only a GGUF adapter needs the keys. Errors:
// kUsage for a weight that is none, kBadInput for what holds no adapter.
std::vector<WeightedAdapter> OpenAdapters(std::span<const std::string> texts,
                                          const std::filesystem::path& base);

// The adapter in a PEFT folder.
std::shared_ptr<const LoraAdapter> OpenPeftAdapter(const std::filesystem::path& folder);

// The folder of the tokenizer that the adapter has which made the vocabulary longer; empty where
// none did, or it has no tokenizer.
std::filesystem::path TokenizerFolder(const MergeReport& report);

// Notes what a merge does: the norm of every delta, and the report's own words.
void NoteMerge(const MergeReport& report, Progress& progress);

}  // namespace quern::cli
