#pragma once

// How a format's Encode and Decode run on a GPU: a thread has a block of weights, the threads of a
// CUDA block have neighbours (a tile), and what they read and write goes through shared memory, so
// that global memory is touched in the order in which it lies.

#include "kernels/cuda/formats.h"
#include "kernels/half.h"
#include "kernels/lane_cuda.cuh"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// Runs step(thread) in each thread of a block and waits for all; on the processor, in a loop.
template <int kThreads, class Step>
HWY_INLINE void AllThreads(const Step& step) {
#ifdef __CUDA_ARCH__
  step(static_cast<int>(threadIdx.x));
  __syncthreads();
#else
  for (int thread = 0; thread < kThreads; ++thread) step(thread);
#endif
}

// The bytes of shared memory go to `to`, which is aligned to 4 as they are.
template <int kThreads>
HWY_INLINE void CopyOut(const uint8_t* from, int bytes, uint8_t* to, int thread) {
  const int words = bytes / 4;
  for (int w = thread; w < words; w += kThreads) {
    reinterpret_cast<uint32_t*>(to)[w] = reinterpret_cast<const uint32_t*>(from)[w];
  }
  for (int b = 4 * words + thread; b < bytes; b += kThreads) to[b] = from[b];
}

template <class Format>
struct EncodeTile {
  static constexpr int kElems = Format::kElems;
  static constexpr int kBytes = sizeof(typename Format::Block);
  // Enough for full warps, and few enough for the weights to fit into shared memory.
  static constexpr int kThreads = kElems >= 256 ? 32 : kElems >= 128 ? 64 : 128;
  // Odd, so that a warp that writes neighbours of one block meets all banks.
  static constexpr int kStride = kThreads + 1;
  static constexpr int kHalfBytes = (kElems * kStride * 2 + 15) / 16 * 16;
  static constexpr int kOutBytes = (kThreads * kBytes + 15) / 16 * 16;

  // Shared memory for weights of a type. bf16 weights do without lower halves.
  static constexpr HWY_INLINE int SharedBytes(Type from) {
    return kOutBytes + kHalfBytes * (from == Type::kBF16 ? 1 : 2);
  }

  // Blocks [tile * kThreads, ...) of the call.
  static HWY_INLINE void Run(const EncodeCall& call, int64_t tile, uint8_t* shared) {
    const int64_t per_row = call.cols / kElems;
    const int64_t first = tile * kThreads;
    const int64_t left = call.rows * per_row - first;
    const int blocks = left < kThreads ? static_cast<int>(left) : kThreads;
    uint16_t* high = reinterpret_cast<uint16_t*>(shared + kOutBytes);
    uint16_t* low = call.from == Type::kBF16
                        ? nullptr
                        : reinterpret_cast<uint16_t*>(shared + kOutBytes + kHalfBytes);
    AllThreads<kThreads>([&](int thread) { Load(call, first, blocks, high, low, thread); });
    AllThreads<kThreads>([&](int thread) {
      if (thread >= blocks) return;
      const int64_t block = first + thread;
      Tile<CudaLane> work{};
      work.x = {{high + thread, low == nullptr ? nullptr : low + thread, kStride}, nullptr};
      work.weighted = call.importance != nullptr;
      if (work.weighted) {
        work.importance = {{}, call.importance + block % per_row * kElems};
        if (Format::kRowMean) work.row_mean_x2 = call.means[block / per_row];
      }
      work.grid = call.grid;
      work.out = {shared + thread * kBytes, kBytes, 1};
      Format::template Encode<CudaLane>(work);
    });
    AllThreads<kThreads>([&](int thread) {
      CopyOut<kThreads>(shared, blocks * kBytes, call.out + first * kBytes, thread);
    });
  }

 private:
  // Takes 32 bits of the input at a time.
  static HWY_INLINE void Load(const EncodeCall& call, int64_t first, int blocks, uint16_t* high,
                              uint16_t* low, int thread) {
    const bool wide = call.from == Type::kF32;
    const int count = blocks * kElems;
    const uint32_t* words = static_cast<const uint32_t*>(call.in) + first * kElems / (wide ? 1 : 2);
    if (wide) {
#pragma unroll 8
      for (int w = thread; w < count; w += kThreads) Keep(words[w], w, high, low);
    } else if (low != nullptr) {
#pragma unroll 8
      for (int w = thread; w < count / 2; w += kThreads) {
        Keep(BitsOfHalf(words[w] & 0xffff), 2 * w, high, low);
        Keep(BitsOfHalf(words[w] >> 16), 2 * w + 1, high, low);
      }
    } else {
#pragma unroll 8
      for (int w = thread; w < count / 2; w += kThreads) {
        high[Place(2 * w)] = static_cast<uint16_t>(words[w]);
        high[Place(2 * w + 1)] = static_cast<uint16_t>(words[w] >> 16);
      }
    }
  }
  static HWY_INLINE int Place(int element) { return element % kElems * kStride + element / kElems; }
  static HWY_INLINE void Keep(uint32_t bits, int element, uint16_t* high, uint16_t* low) {
    high[Place(element)] = static_cast<uint16_t>(bits >> 16);
    low[Place(element)] = static_cast<uint16_t>(bits);
  }
  static HWY_INLINE uint32_t BitsOfHalf(uint32_t half) {
    return static_cast<uint32_t>(ScalarLane::Bits(HalfToFloat(static_cast<uint16_t>(half))));
  }
};

// call.means[row] for the rows [32 * tile, ...): a thread sums a row from left to right.
struct RowMeansTile {
  static constexpr int kThreads = 32;
  static constexpr int kChunk = 32;  // columns at a time; every row is a multiple of it
  static constexpr int kSharedFloats = kThreads * (kChunk + 1) + kThreads;

  static HWY_INLINE void Run(const EncodeCall& call, int64_t tile, float* shared) {
    const int64_t first = tile * kThreads;
    const int64_t left = call.rows - first;
    const int rows = left < kThreads ? static_cast<int>(left) : kThreads;
    float* sums = shared + kThreads * (kChunk + 1);
    AllThreads<kThreads>([&](int thread) { sums[thread] = 0; });
    for (int64_t col = 0; col < call.cols; col += kChunk) {
      AllThreads<kThreads>([&](int thread) {
        for (int row = 0; row < rows; ++row) {
          const int64_t at = (first + row) * call.cols + col + thread;
          shared[row * (kChunk + 1) + thread] = Weight(call, at);
        }
      });
      AllThreads<kThreads>([&](int thread) {
        if (thread >= rows) return;
        float sum = sums[thread];
        for (int i = 0; i < kChunk; ++i) {
          const float x = shared[thread * (kChunk + 1) + i];
          sum = sum + x * x;
        }
        sums[thread] = sum;
      });
    }
    AllThreads<kThreads>([&](int thread) {
      if (thread < rows) call.means[first + thread] = sums[thread] / static_cast<float>(call.cols);
    });
  }

 private:
  static HWY_INLINE float Weight(const EncodeCall& call, int64_t at) {
    if (call.from == Type::kF32) return static_cast<const float*>(call.in)[at];
    const uint16_t half = static_cast<const uint16_t*>(call.in)[at];
    return call.from == Type::kBF16 ? Bf16ToFloat(half) : HalfToFloat(half);
  }
};

template <class Format>
struct DecodeTile {
  static constexpr int kElems = Format::kElems;
  static constexpr int kBytes = sizeof(typename Format::Block);
  static constexpr int kThreads = EncodeTile<Format>::kThreads;
  static constexpr int kInBytes = EncodeTile<Format>::kOutBytes;
  // Threads write one block each, so the blocks begin in different banks.
  static constexpr int kStride = kElems + 1;
  static constexpr int kSharedBytes = kInBytes + kThreads * kStride * 4;

  static HWY_INLINE void Run(const DecodeCall& call, int64_t tile, uint8_t* shared) {
    const int64_t first = tile * kThreads;
    const int64_t left = call.count / kElems - first;
    const int blocks = left < kThreads ? static_cast<int>(left) : kThreads;
    float* weights = reinterpret_cast<float*>(shared + kInBytes);
    AllThreads<kThreads>([&](int thread) {
      CopyOut<kThreads>(call.in + first * kBytes, blocks * kBytes, shared, thread);
    });
    AllThreads<kThreads>([&](int thread) {
      if (thread >= blocks) return;
      const auto* own = reinterpret_cast<const typename Format::Block*>(shared) + thread;
      Format::Decode(*own, weights + thread * kStride);
    });
    AllThreads<kThreads>([&](int thread) {
      for (int i = thread; i < blocks * kElems; i += kThreads) {
        call.out[first * kElems + i] = weights[i / kElems * kStride + i % kElems];
      }
    });
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();
