#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>

#include "base/progress.h"

namespace quern::cli {

class Arguments;

// One command of the program: a file of its own in cli/ that fills in `Define...`, which adds its
// options to its arguments and returns what to run after parsing. commands.cc is THE list of them.
struct Command {
  const char* name;
  const char* summary;
  std::function<int()> (*define)(const Arguments& arguments);
};

std::span<const Command> AllCommands();

// Progress on stderr: a bar where it is a terminal, otherwise lines "[  42/ 200] what", which other
// programs parse.
std::unique_ptr<Progress> MakeProgress(bool quiet);

}  // namespace quern::cli
