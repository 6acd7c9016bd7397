#pragma once

#include <string>

#include "cli/verify/findings.h"

namespace quern::cli {

// The findings as one page of HTML that needs nothing else: no script, no font, no picture from
// elsewhere. Everything from the files is escaped.
std::string RenderReport(const Findings& findings);

}  // namespace quern::cli
