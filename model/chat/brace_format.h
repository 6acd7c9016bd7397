#pragma once

#include <string>
#include <string_view>

#include "model/chat/value.h"

namespace quern::jinja {

class Machine;

// format.format(*args, **named).
std::string BraceFormat(Machine& machine, std::string_view format, const Args& args);

}  // namespace quern::jinja
