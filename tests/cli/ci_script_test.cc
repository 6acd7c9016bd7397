// examples/adapter-to-ollama over the test data.
#include <doctest/doctest.h>

#include <cstdlib>

#include "tests/support/paths.h"
#include "tests/support/process.h"

namespace quern {
namespace {

namespace fs = std::filesystem;

// The steps that a run did, by what it says of each.
std::vector<std::string> StepsDone(const std::string& err) {
  std::vector<std::string> done;
  for (const char* name : {"merge", "quantize", "verify", "export"}) {
    if (err.find(std::string(name) + ": up to date\n") == std::string::npos)
      done.emplace_back(name);
  }
  return done;
}

using Names = std::vector<std::string>;

TEST_CASE("the CI script does what is missing and no more") {
  QUERN_NEEDS_SHARED(base, "models/tiny-llama");
  QUERN_NEEDS_SHARED(adapter, "models/adapters/modern");
  QUERN_NEEDS_SHARED(kjv, "models/eval-kjv.txt");
  for (const char* command : {"verify", "export-ollama"}) {
    if (testing::Quern({"--help"}).out.find(std::string("\n  ") + command + " ") ==
        std::string::npos) {
      testing::SaySkipped(std::string("the CI script: there is no quern ") + command);
      return;
    }
  }
  testing::TempDir dir;
  fs::create_directory(dir / "adapter");
  for (const char* name : {"adapter_config.json", "adapter_model.safetensors"}) {
    testing::WriteText(dir / "adapter" / name, testing::ReadText(adapter / name));
  }
  const auto text = (dir / "text.txt").string(), out = (dir / "out").string();
  testing::WriteText(text, testing::ReadText(kjv).substr(0, 6000));
  ::setenv("QUERN", (testing::BinDir() / "quern").c_str(), 1);
  ::setenv("EXPORT_OPTIONS", "--without-template", 1);
  const auto run = [&](const char* max_kld) {
    ::setenv("MAX_KLD", max_kld, 1);
    return testing::Run((testing::SourceDir() / "examples/adapter-to-ollama").string(),
                        {base.string(), (dir / "adapter").string(), text, out});
  };
  const auto first = run("5");
  CAPTURE(first.err);
  REQUIRE(first.exit_code == 0);
  CHECK(StepsDone(first.err) == Names{"merge", "quantize", "verify", "export"});
  CHECK(first.out == out + "/ollama\n");
  for (const char* name : {"reference.gguf", "reference.gguf.merge.json", "model.gguf",
                           "verify.json", "ollama/Modelfile"}) {
    CAPTURE(name);
    CHECK(fs::exists(fs::path(out) / name));
  }
  const auto written = fs::last_write_time(fs::path(out) / "model.gguf");
  CHECK(StepsDone(run("5").err).empty());
  CHECK(fs::last_write_time(fs::path(out) / "model.gguf") == written);

  // As after an interruption: what is not there is made, and what is there stays.
  fs::remove(fs::path(out) / "verify.json");
  CHECK(StepsDone(run("5").err) == Names{"verify", "export"});
  // A gate that is not met ends the run with its own code, and leaves nothing to ship.
  const auto gate = run("0.000001");
  CHECK(gate.exit_code == 7);
  CHECK(StepsDone(gate.err) == Names{"verify", "export"});
  CHECK_FALSE(fs::exists(fs::path(out) / "ollama"));
  CHECK(run("0.000001").exit_code == 7);
  CHECK(StepsDone(run("5").err) == Names{"verify", "export"});
  // The adapter's contents count, not its time.
  const auto config = dir / "adapter/adapter_config.json";
  const std::string before = testing::ReadText(config);
  testing::WriteText(config, before);
  CHECK(StepsDone(run("5").err).empty());
  testing::WriteText(config, before + "\n");
  CHECK(StepsDone(run("5").err) == Names{"merge", "quantize", "verify", "export"});
  ::unsetenv("QUERN");
  ::unsetenv("MAX_KLD");
  ::unsetenv("EXPORT_OPTIONS");
}

}  // namespace
}  // namespace quern
