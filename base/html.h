#pragma once

#include <string>
#include <string_view>

namespace quern {

// Text as it may stand between tags and in attributes' quotes: & < > ' " become references, spelled
// as Python's markupsafe spells them, which chat templates are compared with.
std::string EscapeHtml(std::string_view text);

}  // namespace quern
