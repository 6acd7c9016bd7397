// Who may include whom, checked on every source file (docs/ARCHITECTURE.md).
#include <doctest/doctest.h>

#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/paths.h"

namespace quern {
namespace {

namespace fs = std::filesystem;

const std::map<std::string, std::set<std::string>> kMayInclude = {
    {"base", {"base"}},
    {"gguf", {"base", "gguf"}},
    {"kernels", {"base", "gguf", "kernels"}},
    {"model", {"base", "gguf", "kernels", "model"}},
    {"convert", {"base", "gguf", "kernels", "model", "convert"}},
    {"quant", {"base", "gguf", "kernels", "model", "quant"}},
    {"exports", {"base", "gguf", "kernels", "model", "exports"}},
    {"adapters", {"base", "gguf", "kernels", "model", "adapters"}},
};

std::vector<fs::path> SourcesOf(const std::string& folder) {
  static const std::set<std::string> kEndings = {".h", ".cc", ".cu", ".cuh"};
  std::vector<fs::path> sources;
  const fs::path root = testing::SourceDir() / folder;
  if (!fs::exists(root)) return sources;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    if (kEndings.contains(entry.path().extension().string())) sources.push_back(entry.path());
  }
  return sources;
}

TEST_CASE("a folder includes itself and what stands to its left") {
  const std::regex include("^\\s*#\\s*include\\s+\"([a-z]+)/");
  int includes = 0;
  for (const auto& [folder, allowed] : kMayInclude) {
    for (const fs::path& path : SourcesOf(folder)) {
      std::istringstream text(testing::ReadText(path));
      for (std::string line; std::getline(text, line);) {
        std::smatch match;
        if (!std::regex_search(line, match, include)) continue;
        ++includes;
        INFO(path.string() << ": " << line);
        CHECK(allowed.contains(match[1].str()));
      }
    }
  }
  CHECK(includes > 30);
}

TEST_CASE("nothing outside cli/ prints") {
  const std::regex print("\\b(std::cout|std::cerr|printf\\(|fmt::print\\()");
  for (const auto& [folder, allowed] : kMayInclude) {
    for (const fs::path& path : SourcesOf(folder)) {
      const std::string text = testing::ReadText(path);
      INFO(path.string());
      CHECK_FALSE(std::regex_search(text, print));
    }
  }
}

}  // namespace
}  // namespace quern
