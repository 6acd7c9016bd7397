#pragma once

#include <string>
#include <string_view>

#include "exports/chat_probe.h"
#include "exports/go_writer.h"

namespace quern {

// Go's templates have no function that strips white space. These define templates that call
// themselves, a character at a time.
void WriteTrimTemplates(const Trim& trim, GoWriter& writer);
// The action that writes `value` without the white space.
std::string TrimmedPrint(const Trim& trim, std::string_view value);

}  // namespace quern
