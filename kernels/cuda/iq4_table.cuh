#pragma once

// How a CUDA thread finds the iq4 weight nearest to a number: it looks it up.

// The lane stands before what uses it.
// clang-format off
#include "kernels/lane_cuda.cuh"
#include "kernels/formats/iq4-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// The bounds between the weights are multiples of a half, so floor(2 * x) tells the weight. A table
// has it for every such floor, as a float, in shared memory.
template <>
struct Iq4Nearest<CudaLane> {
  static constexpr int kEntries = 4 * kIq4Reach;

  // Of the threads of a block, each fills its part.
  static HWY_INLINE void Fill([[maybe_unused]] int thread, [[maybe_unused]] int threads) {
#ifdef __CUDA_ARCH__
    for (int i = thread; i < kEntries; i += threads) {
      Table()[i] = Exact(0.5f * static_cast<float>(i) - static_cast<float>(kIq4Reach));
    }
#endif
  }
  static HWY_INLINE float Of(float x) {
#ifdef __CUDA_ARCH__
    // The sum is rounded down to a whole number, which its lowest bits tell.
    const float sum = __fmaf_rd(x, 2, kRoundingMagic);
    constexpr uint32_t kFirst = 0x4b400000 - 2 * kIq4Reach;
    const uint32_t i = static_cast<uint32_t>(__float_as_int(sum)) - kFirst;
    return Table()[i < kEntries ? i : kEntries - 1];  // what is no number must hit it too
#else
    return Exact(x);
#endif
  }

 private:
  static HWY_INLINE float Exact(float x) { return Iq4Weight<ScalarLane>(Iq4Code<ScalarLane>(x)); }
#ifdef __CUDA_ARCH__
  static HWY_INLINE float* Table() {
    __shared__ float table[kEntries];
    return table;
  }
#endif
};

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();
