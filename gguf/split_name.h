#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace quern {

// "model-00002-of-00005.gguf" is split 1 (counted from 0) of 5 with the prefix "model".
struct SplitName {
  std::filesystem::path prefix;
  int64_t number;
  int64_t count;
};

std::optional<SplitName> ParseSplitName(const std::filesystem::path& path);
// "-00002-of-00005.gguf" for number 1, count 5.
std::string SplitSuffix(int64_t number, int64_t count);
std::filesystem::path SplitPath(const std::filesystem::path& prefix, int64_t number, int64_t count);

}  // namespace quern
