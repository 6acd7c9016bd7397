#include "tests/support/paths.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace quern::testing {
namespace fs = std::filesystem;

fs::path SourceDir() { return QUERN_SOURCE_DIR; }
fs::path TestData(std::string_view name) { return SourceDir() / "testdata" / name; }
fs::path BinDir() { return QUERN_BIN_DIR; }

fs::path Shared(std::string_view name) {
  const char* env = std::getenv("QUERN_SHARED");
  const fs::path shared = (env ? fs::path(env) : SourceDir().parent_path() / "shared") / name;
  if (fs::exists(shared)) return shared;
  return fs::exists(TestData(name)) ? TestData(name) : fs::path();
}

void SaySkipped(std::string_view what) {
  std::fprintf(stderr, "SKIPPED: %.*s\n", static_cast<int>(what.size()), what.data());
}

TempDir::TempDir() {
  std::string name = (fs::temp_directory_path() / "quern-test-XXXXXX").string();
  if (!mkdtemp(name.data())) throw std::runtime_error("mkdtemp failed");
  path_ = name;
}

TempDir::~TempDir() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::string ReadText(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read " + path.string());
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

void WriteText(const fs::path& path, std::string_view text) {
  std::ofstream out(path, std::ios::binary);
  out.write(text.data(), static_cast<std::streamsize>(text.size()));
  if (!out) throw std::runtime_error("cannot write " + path.string());
}

}  // namespace quern::testing
