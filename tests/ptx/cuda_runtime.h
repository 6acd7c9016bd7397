#pragma once

#include "tests/ptx/machine.h"

namespace quern::ptx {

// What all kernels have issued so far; nothing is counted before the first call.
Issued IssuedSoFar();

}  // namespace quern::ptx
