// Whatever ends a command early, nothing partial stands under the output's final name.
#include <doctest/doctest.h>

#include <chrono>

#include "tests/support/paths.h"
#include "tests/support/process.h"

namespace quern {
namespace {

namespace fs = std::filesystem;
using testing::NamesIn;
using testing::Quern;
using testing::QuernKilledAfter;
using testing::QuernWithFileLimit;

struct Command {
  const char* name;
  std::vector<std::string> arguments;  // OUT stands for the output
  bool folder = false;
  bool record = false;  // the record of a merge lies beside the output
};

// The commands that write, and in `dir` what quantize reads.
std::vector<Command> CommandsIn(const testing::TempDir& dir, const fs::path& model,
                                const fs::path& adapter) {
  const fs::path gguf = dir / "base.gguf";
  testing::QuernDone({"convert", model.string(), "--outtype", "bf16", "--outfile", gguf.string()});
  return {
      {"convert",
       {"convert", model, "--lora", adapter, "--outtype", "q4_k_m", "--outfile", "OUT", "--force"},
       false,
       true},
      {"merge-lora", {"merge-lora", model, adapter, "OUT", "--force"}, true},
      {"quantize", {"quantize", "--force", gguf, "OUT", "q6_k"}},
  };
}

std::vector<std::string> WithOutput(std::vector<std::string> arguments, const fs::path& out) {
  for (std::string& argument : arguments) {
    if (argument == "OUT") argument = out.string();
  }
  return arguments;
}

// The whole output, of a file or of a folder's weights.
std::string Content(const fs::path& out) {
  return testing::ReadText(fs::is_directory(out) ? out / "model.safetensors" : out);
}

TEST_CASE("kill -9 at any moment leaves no output or a whole one, and the next run tidies up") {
  QUERN_NEEDS_SHARED(model, "models/tiny-llama");
  QUERN_NEEDS_SHARED(adapter, "models/adapters/shout");
  testing::TempDir dir;
  for (const Command& command : CommandsIn(dir, model, adapter)) {
    INFO(command.name);
    const fs::path place = dir / command.name;
    fs::create_directories(place);
    const fs::path out = place / (command.folder ? "out" : "out.gguf");
    const auto arguments = WithOutput(command.arguments, out);
    const auto start = std::chrono::steady_clock::now();
    REQUIRE(Quern(arguments).exit_code == 0);
    const auto whole_us = std::chrono::duration_cast<std::chrono::microseconds>(
                              std::chrono::steady_clock::now() - start)
                              .count();
    const std::string expected = Content(out);
    fs::remove_all(out);
    constexpr int kMoments = 12;
    for (int moment = 0; moment <= kMoments; ++moment) {
      QuernKilledAfter(whole_us * moment / kMoments, arguments);
      if (fs::exists(out)) CHECK(Content(out) == expected);
      fs::remove_all(out);
    }
    CHECK(Quern(arguments).exit_code == 0);
    CHECK(Content(out) == expected);
    CHECK(NamesIn(place).size() == (command.record ? 2 : 1));
  }
}

TEST_CASE("a full disk is exit code 5 and leaves nothing") {
  QUERN_NEEDS_SHARED(model, "models/tiny-llama");
  QUERN_NEEDS_SHARED(adapter, "models/adapters/shout");
  testing::TempDir dir;
  for (const Command& command : CommandsIn(dir, model, adapter)) {
    INFO(command.name);
    const fs::path place = dir / command.name;
    fs::create_directories(place);
    const auto arguments = WithOutput(command.arguments, place / "out");
    for (const uint64_t limit : {20000, 100000, 2000000}) {
      const auto result = QuernWithFileLimit(limit, arguments);
      CHECK(result.exit_code == 5);
      CHECK(result.err.find("error: ") != std::string::npos);
      CHECK(NamesIn(place).empty());
    }
  }
}

TEST_CASE("an existing output stays as it is without --force") {
  QUERN_NEEDS_SHARED(model, "models/tiny-llama");
  QUERN_NEEDS_SHARED(adapter, "models/adapters/shout");
  testing::TempDir dir;
  for (const Command& command : CommandsIn(dir, model, adapter)) {
    INFO(command.name);
    const fs::path target = dir / (command.folder ? "merged" : "mine.gguf");
    if (command.folder) fs::create_directory(target);
    testing::WriteText(command.folder ? target / "mine" : target, "mine");
    auto arguments = WithOutput(command.arguments, target);
    std::erase(arguments, "--force");
    const auto result = Quern(arguments);
    CHECK(result.exit_code == 5);
    CHECK(result.err.find("exists already") != std::string::npos);
    CHECK(testing::ReadText(command.folder ? target / "mine" : target) == "mine");
  }
}

}  // namespace
}  // namespace quern
