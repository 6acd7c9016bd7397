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

#include "kernels/half.h"
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

// Two or four words of global memory, aligned to their size, that one instruction reads.
template <int kWords>
class Words {
 public:
  HWY_INLINE explicit Words(const void* at) {
#ifdef __CUDA_ARCH__
    if constexpr (kWords == 4) {
      const uint4 four = __ldg(static_cast<const uint4*>(at));
      words_[0] = four.x, words_[1] = four.y, words_[2] = four.z, words_[3] = four.w;
    } else {
      const uint2 two = __ldg(static_cast<const uint2*>(at));
      words_[0] = two.x, words_[1] = two.y;
    }
#else
    std::memcpy(words_, at, sizeof(words_));
#endif
  }
  HWY_INLINE uint32_t operator[](int w) const { return words_[w]; }

 private:
  uint32_t words_[kWords];
};

// N weights that a thread has in registers, as long as loops over them are unrolled.
template <int N>
struct Held {
  float values[N];
  HWY_INLINE float operator[](int i) const { return values[i]; }
  HWY_INLINE float At(int i, int) const { return values[i]; }
};

// A block's weights or importance weights where they lie in memory. Threads have blocks of their
// own, so that the elements they look at together are far apart: with 16 bytes at a time, all of
// what a read brings is used.
template <>
struct In<CudaLane> {
  const uint8_t* bytes;  // aligned to 8 elements
  Type type;             // f32, f16 or bf16

  HWY_INLINE In From(int64_t i) const { return {bytes + i * (type == Type::kF32 ? 4 : 2), type}; }

  // Elements [i, i + N): i a multiple of 8 where N is, else both of 4.
  template <int N>
  HWY_INLINE Held<N> Sub(int i) const {
    Held<N> held;
    const uint8_t* at = From(i).bytes;
    if (type == Type::kF32) {
      for (int k = 0; k < N; k += 4) {
        const Words<4> words(at + 4 * k);
        for (int w = 0; w < 4; ++w) held.values[k + w] = FromBits(words[w]);
      }
    } else if (type == Type::kBF16) {
      Halves<N>(at, [&](int k, uint32_t half) { held.values[k] = FromBits(half << 16); });
    } else {
      Halves<N>(
          at, [&](int k, uint32_t half) { held.values[k] = FromF16(static_cast<uint16_t>(half)); });
    }
    return held;
  }

 private:
  static HWY_INLINE float FromBits(uint32_t bits) {
    return ScalarLane::FromBits(static_cast<int32_t>(bits));
  }

  static HWY_INLINE float FromF16(uint16_t half) {
#ifdef __CUDA_ARCH__
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(half));
    return value;
#else
    return HalfToFloat(half);
#endif
  }

  // keep(i, half) for each of N halves.
  template <int N, class Keep>
  static HWY_INLINE void Halves(const uint8_t* at, const Keep& keep) {
    constexpr int kWords = N % 8 == 0 ? 4 : 2;
    for (int i = 0; i < N; i += 2 * kWords) {
      const Words<kWords> words(at + 2 * i);
      for (int w = 0; w < kWords; ++w) {
        keep(i + 2 * w, words[w] & 0xffff);
        keep(i + 2 * w + 1, words[w] >> 16);
      }
    }
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();
