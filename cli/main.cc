#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/cancel.h"
#include "base/error.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/say.h"
#include "kernels/cuda/cuda_device.h"
#include "kernels/targets.h"

namespace quern::cli {
namespace {

constexpr const char* kAbout =
    "Quern reads HuggingFace checkpoints and LoRA adapters, merges them, and writes and quantizes\n"
    "GGUF files that llama.cpp and Ollama load.\n\n"
    "  quern convert ./my-model --lora ./my-adapter --outtype q4_k_m --outfile my-model.gguf\n"
    "  quern quantize my-model.gguf q4_k_m\n"
    "  quern perplexity -m my-model.gguf -f text.txt\n";

// The command whose name the program was called by ("quantize" is a link to "quern"), if any.
const Command* CalledAs(const char* argv0) {
  const std::string name = std::filesystem::path(argv0).filename().string();
  for (const Command& command : AllCommands()) {
    if (name == command.name) return &command;
  }
  return nullptr;
}

// Options that the peers write with one dash and several letters, which would read as several
// options here.
constexpr std::pair<std::string_view, const char*> kPeersSpellings[] = {
    {"-no-cnv", "--no-conversation"}, {"-cnv", "--conversation"}, {"-st", "--single-turn"},
    {"-sys", "--system-prompt"},      {"-ctk", "--cache-type-k"}, {"-ctv", "--cache-type-v"},
};

std::vector<std::string> ArgumentsOf(int argc, char** argv) {
  std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  for (std::string& argument : arguments) {
    for (const auto& [theirs, ours] : kPeersSpellings) {
      if (argument == theirs) argument = ours;
    }
  }
  // CLI11 takes them from the end.
  std::reverse(arguments.begin(), arguments.end());
  return arguments;
}

// For whoever reports something, or keeps a CI job the same.
std::string Version() {
  const CudaDevices gpus = FindCudaDevices();
  return fmt::format(
      "quern {}\nbytes: those of llama-quantize, August 2026\nprocessor: {}\nGPU: {}",
      QUERN_VERSION, fmt::join(KernelTargets(), ", "),
      gpus.count > 0 ? fmt::format("{} with CUDA", gpus.count) : gpus.why_none);
}

int ParseAndRun(int argc, char** argv) {
  CLI::App app(kAbout, "quern");
  app.set_version_flag("--version", Version, "Print the version, and what it runs on here");
  std::function<int()> chosen;
  if (const Command* command = CalledAs(argv[0])) {
    app.name(command->name);
    app.description(command->summary);
    chosen = command->define(Arguments(&app));
  } else {
    app.require_subcommand(1);
    for (const Command& command : AllCommands()) {
      CLI::App* sub = app.add_subcommand(command.name, command.summary);
      auto run = command.define(Arguments(sub));
      sub->callback([&chosen, run] { chosen = run; });
    }
  }
  try {
    app.parse(ArgumentsOf(argc, argv));
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : static_cast<int>(ErrorKind::kUsage);
  }
  return chosen();
}

// The first interrupt stops the work cleanly; a second one ends the process.
void HandleSignals() {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    std::signal(signal, [](int which) {
      RequestCancel();
      std::signal(which, SIG_DFL);
    });
  }
  // A write beyond a file size limit is an error to report, as a full disk is.
  std::signal(SIGXFSZ, SIG_IGN);
}

}  // namespace
}  // namespace quern::cli

int main(int argc, char** argv) {
  quern::cli::HandleSignals();
  try {
    return quern::cli::ParseAndRun(argc, argv);
  } catch (const quern::Error& error) {
    quern::cli::Say("error: {}\n", error.what());
    return static_cast<int>(error.kind());
  } catch (const std::bad_alloc&) {
    quern::cli::Say("error: out of memory\n");
    return 1;
  } catch (const std::exception& error) {
    quern::cli::Say("defect in quern, please report it: {}\n", error.what());
    return 1;
  }
}
