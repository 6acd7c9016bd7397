#pragma once

#include <string>

#include "cli/verify/findings.h"

namespace quern::cli {

// "4.13 MiB".
std::string SizeText(uint64_t bytes);

// What the candidate's tensors take, by type: a bar and a table, as HTML.
std::string SizesByType(const Findings& findings);

// The relative error of the candidate's tensors as HTML: a map layer x role, a table of those
// outside of the layers, and all of them as a list to unfold.
std::string ErrorMap(const Findings& findings);

}  // namespace quern::cli
