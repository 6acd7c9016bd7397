#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "adapters/merge_plan.h"

namespace quern::cli {

using SideFiles = std::vector<std::pair<std::string, std::string>>;

// Whether a file of this name holds a licence, a notice or rules of use.
bool IsLicence(const std::string& name);

// What stands beside the weights in a HF model's folder and belongs to the model: config,
// generation config, tokenizer, chat templates, licence and card. Names and contents.
SideFiles ReadSideFiles(const std::filesystem::path& folder);

// The side files of a merged model: its config says nothing of quantization; where the merge
// untied the output it says so, and where the vocabulary grew it has the size and the files are
// those of the adapter's tokenizer.
SideFiles MergedSideFiles(SideFiles files, const MergeReport& report);

}  // namespace quern::cli
