#pragma once

#include <string>
#include <string_view>

#include "exports/turn_rules.h"

namespace quern {

// The rules as a template of Ollama's. `date_format` is that of its dates, one of kGoDateFormats.
std::string EmitGoTemplate(const TurnRules& rules, std::string_view date_format);

}  // namespace quern
