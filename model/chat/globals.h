#pragma once

#include "model/chat/chat_template.h"
#include "model/chat/machine.h"

namespace quern::jinja {

// The functions that every template has: range, dict, namespace, cycler, joiner, raise_exception
// and strftime_now, which returns options.now or else formats options.clock or the time.
Dict& MakeGlobals(Machine& machine, const ChatTemplateOptions& options);

}  // namespace quern::jinja
