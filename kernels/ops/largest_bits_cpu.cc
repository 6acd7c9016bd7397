#include <algorithm>
#include <cstring>

#include "kernels/ops/largest_bits.h"
#include "kernels/ops/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/ops/largest_bits_cpu.cc"
// clang-format off: foreach_target.h includes this file once per target, so it stands first.
#include <hwy/foreach_target.h>
// clang-format on
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {
namespace {

// Left to the compiler, which vectorizes it for each target.
template <typename Bits>
HWY_INLINE Bits Largest(const std::byte* numbers, int64_t count) {
  constexpr Bits kMagnitude = static_cast<Bits>(~(Bits{1} << (sizeof(Bits) * 8 - 1)));
  Bits largest = 0;
  for (int64_t i = 0; i < count; ++i) {
    Bits bits;
    std::memcpy(&bits, numbers + static_cast<size_t>(i) * sizeof(Bits), sizeof(Bits));
    largest = std::max<Bits>(largest, bits & kMagnitude);
  }
  return largest;
}

uint32_t LargestBits32(const std::byte* numbers, int64_t count) {
  return Largest<uint32_t>(numbers, count);
}

uint16_t LargestBits16(const std::byte* numbers, int64_t count) {
  return Largest<uint16_t>(numbers, count);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace quern {

HWY_EXPORT(LargestBits32);
HWY_EXPORT(LargestBits16);

uint32_t LargestBits32(const std::byte* numbers, int64_t count) {
  return HWY_DYNAMIC_DISPATCH(LargestBits32)(numbers, count);
}

uint16_t LargestBits16(const std::byte* numbers, int64_t count) {
  return HWY_DYNAMIC_DISPATCH(LargestBits16)(numbers, count);
}

}  // namespace quern
#endif  // HWY_ONCE
