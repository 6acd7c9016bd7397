#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace quern::testing {

struct ProcessResult {
  int exit_code = 0;  // 128 + the signal's number where one ended the process
  std::string out, err;
};

// Runs a built program (a name below BinDir(), or a path) to its end, without a shell.
ProcessResult Run(const std::string& program, const std::vector<std::string>& arguments);
// The program `quern` itself.
ProcessResult Quern(const std::vector<std::string>& arguments);
// The same, which must succeed.
void QuernDone(const std::vector<std::string>& arguments);
// The same, with this on its standard input.
ProcessResult QuernReading(const std::string& input, const std::vector<std::string>& arguments);
// The same, killed with SIGKILL after `microseconds` unless it ended before.
ProcessResult QuernKilledAfter(int64_t microseconds, const std::vector<std::string>& arguments);
// The same, where no file may grow beyond `bytes`: writes fail as on a full disk.
ProcessResult QuernWithFileLimit(uint64_t bytes, const std::vector<std::string>& arguments);

// Files and folders in `folder`, by name.
std::vector<std::string> NamesIn(const std::filesystem::path& folder);

}  // namespace quern::testing
