#pragma once

#include <optional>
#include <string>

#include "model/chat/machine.h"

namespace quern::jinja {

// The functions that every template has: range, dict, namespace, cycler, joiner, raise_exception
// and strftime_now, which returns `now` or else the time, formatted.
Dict& MakeGlobals(Machine& machine, const std::optional<std::string>& now);

}  // namespace quern::jinja
