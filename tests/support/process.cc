#include "tests/support/process.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <stdexcept>

#include "tests/support/paths.h"

namespace quern::testing {
namespace {

namespace fs = std::filesystem;

// How a program is run.
struct Limits {
  int64_t kill_after_us = -1;
  uint64_t file_bytes = 0;
  std::string input = {};
};

[[noreturn]] void Exec(const std::string& program, const std::vector<std::string>& arguments,
                       const fs::path& folder, const Limits& limits) {
  const auto redirect = [](const fs::path& path, int to) {
    dup2(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), to);
  };
  redirect(folder / "out", STDOUT_FILENO);
  redirect(folder / "err", STDERR_FILENO);
  dup2(open((folder / "in").c_str(), O_RDONLY), STDIN_FILENO);
  if (limits.file_bytes > 0) {
    const rlimit limit = {limits.file_bytes, limits.file_bytes};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  std::vector<char*> argv = {const_cast<char*>(program.c_str())};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  execv(program.c_str(), argv.data());
  _exit(127);
}

ProcessResult RunLimited(const std::string& program, const std::vector<std::string>& arguments,
                         const Limits& limits) {
  const TempDir dir;
  const std::string path =
      program.find('/') == std::string::npos ? (BinDir() / program).string() : program;
  if (!fs::exists(path)) throw std::runtime_error(path + " was not built");
  WriteText(dir / "in", limits.input);
  const pid_t child = fork();
  if (child < 0) throw std::runtime_error("fork failed");
  if (child == 0) Exec(path, arguments, dir.path(), limits);
  if (limits.kill_after_us >= 0) {
    usleep(static_cast<useconds_t>(limits.kill_after_us));
    kill(child, SIGKILL);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  ProcessResult result;
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  // A process that was killed early may not have come to make its files.
  if (fs::exists(dir / "out")) result.out = ReadText(dir / "out");
  if (fs::exists(dir / "err")) result.err = ReadText(dir / "err");
  return result;
}

}  // namespace

ProcessResult Run(const std::string& program, const std::vector<std::string>& arguments) {
  return RunLimited(program, arguments, {});
}

ProcessResult Quern(const std::vector<std::string>& arguments) { return Run("quern", arguments); }

void QuernDone(const std::vector<std::string>& arguments) {
  const auto result = Quern(arguments);
  CAPTURE(arguments);
  CAPTURE(result.err);
  REQUIRE(result.exit_code == 0);
}

ProcessResult QuernReading(const std::string& input, const std::vector<std::string>& arguments) {
  Limits limits;
  limits.input = input;
  return RunLimited("quern", arguments, limits);
}

ProcessResult QuernKilledAfter(int64_t microseconds, const std::vector<std::string>& arguments) {
  Limits limits;
  limits.kill_after_us = microseconds;
  return RunLimited("quern", arguments, limits);
}

ProcessResult QuernWithFileLimit(uint64_t bytes, const std::vector<std::string>& arguments) {
  Limits limits;
  limits.file_bytes = bytes;
  return RunLimited("quern", arguments, limits);
}

std::vector<std::string> NamesIn(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace quern::testing
