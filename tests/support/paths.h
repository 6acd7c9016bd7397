#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace quern::testing {

// The repository's root, testdata/ below it, and the folder of the built programs.
std::filesystem::path SourceDir();
std::filesystem::path TestData(std::string_view name);
std::filesystem::path BinDir();

// `name` below ../shared (or $QUERN_SHARED), else below testdata/, which has the same layout for
// the part that the repository carries; an empty path where it is in neither. A test that needs it
// calls QUERN_NEEDS_SHARED, which says on stderr that the test was skipped.
std::filesystem::path Shared(std::string_view name);
void SaySkipped(std::string_view what);

// A folder of its own, removed at the end of the scope.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

std::string ReadText(const std::filesystem::path& path);
void WriteText(const std::filesystem::path& path, std::string_view text);

}  // namespace quern::testing

#define QUERN_NEEDS_SHARED(variable, name)                                         \
  const auto variable = ::quern::testing::Shared(name);                            \
  if (variable.empty()) {                                                          \
    ::quern::testing::SaySkipped(name " is neither in ../shared nor in testdata"); \
    return;                                                                        \
  }
