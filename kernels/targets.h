#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace quern {

// The instruction sets that this machine can run and the kernels were built for, the fastest first;
// the last is "scalar". All give the same bytes.
std::vector<std::string> KernelTargets();

// Runs all kernels on this one from now on, or on the fastest where `name` is empty. Returns false
// for a name that is not of the list. For tests and measurements: no kernel may be running.
bool UseKernelTarget(std::string_view name);

}  // namespace quern
