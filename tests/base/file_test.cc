#include "base/file.h"

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <csignal>
#include <vector>

#include "base/error.h"
#include "tests/support/paths.h"

namespace quern {
namespace {

namespace fs = std::filesystem;
using testing::ReadText;
using testing::TempDir;
using testing::WriteText;

std::span<const std::byte> Bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

size_t FilesIn(const fs::path& folder) {
  return static_cast<size_t>(
      std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

template <typename F>
ErrorKind KindOf(F f) {
  try {
    f();
  } catch (const Error& error) {
    return error.kind();
  }
  return static_cast<ErrorKind>(0);
}

TEST_CASE("an output file has its name only after Commit") {
  TempDir dir;
  {
    OutputFile out(dir / "a.gguf", Overwrite::kRefuse);
    out.WriteAt(3, Bytes("def"));
    out.WriteAt(0, Bytes("abc"));
    CHECK_FALSE(fs::exists(dir / "a.gguf"));
    out.Commit();
  }
  CHECK(ReadText(dir / "a.gguf") == "abcdef");
  CHECK(FilesIn(dir.path()) == 1);
}

TEST_CASE("an output file that is not committed leaves nothing") {
  TempDir dir;
  { OutputFile(dir / "a.gguf", Overwrite::kRefuse).WriteAt(0, Bytes("abc")); }
  CHECK(FilesIn(dir.path()) == 0);
}

TEST_CASE("an existing output is refused or replaced whole") {
  TempDir dir;
  WriteText(dir / "a.gguf", "old");
  CHECK(KindOf([&] { OutputFile(dir / "a.gguf", Overwrite::kRefuse); }) == ErrorKind::kOutput);
  {
    OutputFile out(dir / "a.gguf", Overwrite::kReplace);
    out.WriteAt(0, Bytes("new"));
    CHECK(ReadText(dir / "a.gguf") == "old");
    out.Commit();
  }
  CHECK(ReadText(dir / "a.gguf") == "new");
}

TEST_CASE("a file that came meanwhile is not overwritten") {
  TempDir dir;
  OutputFile out(dir / "a.gguf", Overwrite::kRefuse);
  out.WriteAt(0, Bytes("mine"));
  WriteText(dir / "a.gguf", "theirs");
  CHECK(KindOf([&] { out.Commit(); }) == ErrorKind::kOutput);
  CHECK(ReadText(dir / "a.gguf") == "theirs");
}

TEST_CASE("a write that finds no space is an output error") {
  TempDir dir;
  // A file size limit fails a write as a full disk does, and needs no mount.
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit old;
  getrlimit(RLIMIT_FSIZE, &old);
  rlimit small = old;
  small.rlim_cur = 4096;
  setrlimit(RLIMIT_FSIZE, &small);
  const auto kind = KindOf([&] {
    OutputFile out(dir / "a.gguf", Overwrite::kRefuse);
    out.WriteAt(0, std::vector<std::byte>(8192));
    out.Commit();
  });
  setrlimit(RLIMIT_FSIZE, &old);
  CHECK(kind == ErrorKind::kOutput);
  CHECK(FilesIn(dir.path()) == 0);
}

TEST_CASE("what a killed run left is removed by the next, what a live one writes is not") {
  TempDir dir;
  WriteText(dir / ".a.gguf.quern-1-0", "left by a killed process");
  fs::create_directories(dir / ".model.quern-1-0" / "deep");
  OutputFile live(dir / "a.gguf", Overwrite::kRefuse);
  CHECK_FALSE(fs::exists(dir / ".a.gguf.quern-1-0"));
  { OutputFile second(dir / "a.gguf", Overwrite::kRefuse); }
  CHECK(fs::exists(live.temporary_path()));
  const OutputFolder folder(dir / "model", Overwrite::kRefuse);
  CHECK_FALSE(fs::exists(dir / ".model.quern-1-0"));
  CHECK(fs::exists(folder.temporary_path()));
}

TEST_CASE("an output folder appears whole, and replaces whole") {
  TempDir dir;
  {
    OutputFolder out(fs::path((dir / "model").string() + "/"), Overwrite::kRefuse);
    out.WriteFile("config.json", "{}");
    CHECK_FALSE(fs::exists(dir / "model"));
    out.Commit();
  }
  CHECK(ReadText(dir / "model" / "config.json") == "{}");
  CHECK(KindOf([&] { OutputFolder(dir / "model", Overwrite::kRefuse); }) == ErrorKind::kOutput);
  {
    OutputFolder out(dir / "model", Overwrite::kReplace);
    out.WriteFile("other.json", "[]");
    out.Commit();
  }
  CHECK_FALSE(fs::exists(dir / "model" / "config.json"));
  CHECK(ReadText(dir / "model" / "other.json") == "[]");
  CHECK(FilesIn(dir.path()) == 1);
}

TEST_CASE("reads stay inside of the file") {
  TempDir dir;
  WriteText(dir / "a", "0123456789");
  const InputFile in(dir / "a");
  std::byte two[2];
  in.ReadAt(8, two);
  CHECK(static_cast<char>(two[1]) == '9');
  CHECK(KindOf([&] { in.ReadAt(9, two); }) == ErrorKind::kBadInput);
  CHECK(KindOf([&] { in.ReadAt(~uint64_t{0}, two); }) == ErrorKind::kBadInput);
  CHECK(KindOf([&] { InputFile(dir / "absent"); }) == ErrorKind::kBadInput);
  CHECK(KindOf([&] { InputFile(dir.path()); }) == ErrorKind::kBadInput);
  CHECK(KindOf([&] { ReadFile(dir / "a", 9); }) == ErrorKind::kBadInput);
}

}  // namespace
}  // namespace quern
