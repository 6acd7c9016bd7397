#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace quern::cli {

// What stands beside the weights in a HF model's folder and belongs to the model: config,
// generation config, tokenizer, chat templates, licence and card. Names and contents.
std::vector<std::pair<std::string, std::string>> ReadSideFiles(const std::filesystem::path& folder);

}  // namespace quern::cli
