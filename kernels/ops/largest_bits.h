#pragma once

#include <cstddef>
#include <cstdint>

namespace quern {

// The largest of `count` floating-point numbers by their bits without the sign, 0 for none: these
// order as the magnitudes do, and what is no finite number comes above all that are.
uint32_t LargestBits32(const std::byte* numbers, int64_t count);
// The same for numbers of two bytes.
uint16_t LargestBits16(const std::byte* numbers, int64_t count);

}  // namespace quern
