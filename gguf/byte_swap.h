#pragma once

#include <cstddef>
#include <span>

#include "gguf/types.h"

namespace quern {

// Turns whole blocks of `type` from big-endian to little-endian, or back, in place.
void SwapBlocks(Type type, std::span<std::byte> blocks);

}  // namespace quern
