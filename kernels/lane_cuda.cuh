#pragma once

// Stands first in a CUDA translation unit: what the formats' headers use of Highway, and the lane
// that they are compiled for there, a thread.
#define HWY_NAMESPACE N_CUDA
#define HWY_BEFORE_NAMESPACE() static_assert(true, "")
#define HWY_AFTER_NAMESPACE() static_assert(true, "")
#define HWY_INLINE __host__ __device__ __forceinline__
#define HWY_ATTR
#define HWY_SCALAR 1
#define HWY_EMU128 2
#define HWY_TARGET HWY_SCALAR
// Highway's lanes are left out.
#define QUERN_KERNELS_LANE_HIGHWAY_INL_H_

#include "kernels/lane.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// One block per thread. Compiled with --fmad=false and IEEE division and roots, a thread does what
// ScalarLane does. The bits of a NaN are the one difference: arithmetic gives 0x7fffffff on a GPU,
// on x86 the default NaN 0xffc00000, and rounding by bits makes levels of them.
struct CudaLane : ScalarLane {
  static constexpr bool kIsThread = true;

  static HWY_INLINE I Bits(F value) {
#ifdef __CUDA_ARCH__
    const I bits = __float_as_int(value);
    return value == value ? bits : (~bits & INT32_MIN) | 0x7fc00000;
#else
    return ScalarLane::Bits(value);
#endif
  }
};
using Lane = CudaLane;

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#include "kernels/formats/grid_search-inl.h"
#include "kernels/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// Floats whose upper and lower 16 bits lie apart, element i of thread t at i * stride + t: threads
// that read the same element then read neighbours. bf16 weights have no lower bits to keep.
struct Halves {
  const uint16_t* high;
  const uint16_t* low;  // null: all zero
  int stride;
};

// A thread's weights in shared memory, or its importance weights in global memory.
template <>
struct In<CudaLane> {
  Halves halves;  // where `floats` is null
  const float* floats;

  HWY_INLINE float operator[](int i) const {
    if (floats != nullptr) return floats[i];
    const int at = i * halves.stride;
    uint32_t bits = static_cast<uint32_t>(halves.high[at]) << 16;
    if (halves.low != nullptr) bits |= halves.low[at];
    return ScalarLane::FromBits(static_cast<int32_t>(bits));
  }
  HWY_INLINE In From(int i) const {
    if (floats != nullptr) return {halves, floats + i};
    const int at = i * halves.stride;
    return {{halves.high + at, halves.low == nullptr ? nullptr : halves.low + at, halves.stride},
            nullptr};
  }
  HWY_INLINE float At(int i, int) const { return (*this)[i]; }
};

// Threads of a block that search grids.
inline constexpr int kTermThreads = 32;

// In shared memory: an array of a thread's own with indices known only at run time would lie in
// local memory, and threads with different indices read a line each.
template <>
struct TermTable<CudaLane> {
#ifdef __CUDA_ARCH__
  HWY_INLINE float& operator[](int i) {
    __shared__ float terms[32 * kTermThreads];
    return terms[i * kTermThreads + threadIdx.x];
  }
#else
  float values[32];
  HWY_INLINE float& operator[](int i) { return values[i]; }
#endif
};

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();
