#pragma once

// How a format's Encode and Decode run on a GPU: a thread has a block of weights, the threads of a
// CUDA block have neighbours (a tile), and what they write goes through shared memory, so that
// global memory is written in the order in which it lies.

#include "kernels/cuda/formats.h"
#include "kernels/cuda/iq4_table.cuh"
#include "kernels/cuda/point_search.cuh"
#include "kernels/half.h"

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

// What a block gets without having asked for more.
inline constexpr int kMostShared = 48 * 1024;

template <class Format>
struct EncodeTile {
  static constexpr int kElems = Format::kElems;
  static constexpr int kBytes = sizeof(typename Format::Block);
  static constexpr bool kHasGrid = requires { Format::kHasGrid; };
  static constexpr int kThreads = kHasGrid ? kGridThreads : kElems >= 256 ? 64 : 128;
  // Of blocks there are to be so many to a multiprocessor, which limits a thread's registers to
  // 128: a few values less in registers, and enough warps to hide what each waits for. Those that
  // search grids get 168: they find no room for more warps in shared memory.
  static constexpr int kBlocks = (kHasGrid ? 384 : 512) / kThreads;
  static constexpr int kSharedBytes = (kThreads * kBytes + 15) / 16 * 16;
  static_assert(kSharedBytes <= kMostShared);

  // Blocks [tile * kThreads, ...) of the call; kWeighted where it has importance weights.
  template <bool kWeighted>
  static HWY_INLINE void Run(const EncodeCall& call, int64_t tile, uint8_t* shared) {
    const int64_t per_row = call.cols / kElems;
    const int64_t first = tile * kThreads;
    const int64_t left = call.rows * per_row - first;
    const int blocks = left < kThreads ? static_cast<int>(left) : kThreads;
    if constexpr (requires { Format::kIq4; }) {
      AllThreads<kThreads>([](int thread) { Iq4Nearest<CudaLane>::Fill(thread, kThreads); });
    }
    AllThreads<kThreads>([&](int thread) {
      if (thread >= blocks) return;
      const int64_t block = first + thread;
      Tile<CudaLane> work{};
      const In<CudaLane> weights{static_cast<const uint8_t*>(call.in), call.from};
      work.x = weights.From(block * kElems);
      work.weighted = kWeighted;
      if (kWeighted) {
        const float* importance = call.importance + block % per_row * kElems;
        work.importance = {reinterpret_cast<const uint8_t*>(importance), Type::kF32};
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
  // As many as the weights of their blocks fit into shared memory.
  static constexpr int kThreads = kElems >= 256 ? 32 : kElems >= 128 ? 64 : 128;
  static constexpr int kInBytes = (kThreads * kBytes + 15) / 16 * 16;
  // Threads write one block each, so the blocks begin in different banks.
  static constexpr int kStride = kElems + 1;
  static constexpr int kSharedBytes = kInBytes + kThreads * kStride * 4;
  static_assert(kSharedBytes <= kMostShared);

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
