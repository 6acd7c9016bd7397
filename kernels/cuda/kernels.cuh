#pragma once

// The kernels round tiles.cuh, and the list of what a translation unit has.

#include <array>
#include <vector>

#include "kernels/cuda/tiles.cuh"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {
namespace {

constexpr int64_t Tiles(int64_t count, int64_t each) { return (count + each - 1) / each; }

// With an importance matrix and without are kernels of their own: what the one needs of registers
// is not the other's.
template <class Format, bool kWeighted>
__global__ void __launch_bounds__(EncodeTile<Format>::kThreads, EncodeTile<Format>::kBlocks)
    EncodeKernel(EncodeCall call) {
  extern __shared__ __align__(16) uint8_t shared[];
  EncodeTile<Format>::template Run<kWeighted>(call, blockIdx.x, shared);
}

__global__ void __launch_bounds__(RowMeansTile::kThreads) RowMeansKernel(EncodeCall call) {
  __shared__ float shared[RowMeansTile::kSharedFloats];
  RowMeansTile::Run(call, blockIdx.x, shared);
}

template <class Format>
__global__ void __launch_bounds__(DecodeTile<Format>::kThreads) DecodeKernel(DecodeCall call) {
  extern __shared__ __align__(16) uint8_t shared[];
  DecodeTile<Format>::Run(call, blockIdx.x, shared);
}

// A format of blocks.
template <class Format>
struct BlockFormat {
  using Encoding = EncodeTile<Format>;
  using Decoding = DecodeTile<Format>;

  static int64_t EncodeTiles(const EncodeCall& call) {
    return Tiles(call.rows * (call.cols / Format::kElems), Encoding::kThreads);
  }
  static int64_t DecodeTiles(const DecodeCall& call) {
    return Tiles(call.count / Format::kElems, Decoding::kThreads);
  }
  static bool WantsMeans(const EncodeCall& call) {
    return Format::kRowMean && call.importance != nullptr;
  }

  static void Encode(const EncodeCall& call, cudaStream_t stream) {
    if (WantsMeans(call)) {
      const auto tiles = static_cast<unsigned>(Tiles(call.rows, RowMeansTile::kThreads));
      RowMeansKernel<<<tiles, RowMeansTile::kThreads, 0, stream>>>(call);
    }
    const auto kernel = call.importance ? EncodeKernel<Format, true> : EncodeKernel<Format, false>;
    kernel<<<static_cast<unsigned>(EncodeTiles(call)), Encoding::kThreads, Encoding::kSharedBytes,
             stream>>>(call);
  }
  static void Decode(const DecodeCall& call, cudaStream_t stream) {
    DecodeKernel<Format><<<static_cast<unsigned>(DecodeTiles(call)), Decoding::kThreads,
                           Decoding::kSharedBytes, stream>>>(call);
  }
  static void EncodeHere(const EncodeCall& call) {
    if (WantsMeans(call)) {
      std::vector<float> shared(RowMeansTile::kSharedFloats);
      for (int64_t t = 0; t < Tiles(call.rows, RowMeansTile::kThreads); ++t) {
        RowMeansTile::Run(call, t, shared.data());
      }
    }
    std::vector<uint64_t> shared(static_cast<size_t>(Encoding::kSharedBytes) / 8);
    for (int64_t t = 0; t < EncodeTiles(call); ++t) {
      uint8_t* const bytes = reinterpret_cast<uint8_t*>(shared.data());
      if (call.importance) {
        Encoding::template Run<true>(call, t, bytes);
      } else {
        Encoding::template Run<false>(call, t, bytes);
      }
    }
  }
  static void DecodeHere(const DecodeCall& call) {
    std::vector<uint64_t> shared(static_cast<size_t>(Decoding::kSharedBytes) / 8 + 1);
    for (int64_t t = 0; t < DecodeTiles(call); ++t) {
      Decoding::Run(call, t, reinterpret_cast<uint8_t*>(shared.data()));
    }
  }
  static constexpr CudaFormat Entry() {
    return {Format::kType, true, Encoding::kHasGrid, Encode, Decode, EncodeHere, DecodeHere};
  }
};

// The formats that a translation unit compiles.
template <class... Formats>
struct BlockFormats {
  static constexpr std::array<CudaFormat, sizeof...(Formats)> kEntries = {
      BlockFormat<Formats>::Entry()...};
};

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();
