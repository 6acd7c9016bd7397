#include "cli/commands.h"

#include "cli/command.h"

namespace quern::cli {

std::span<const Command> AllCommands() {
  static constexpr Command kCommands[] = {
#define QUERN_COMMAND_ENTRY(name, define, summary) {name, summary, define},
      QUERN_COMMANDS(QUERN_COMMAND_ENTRY)
#undef QUERN_COMMAND_ENTRY
  };
  return kCommands;
}

}  // namespace quern::cli
