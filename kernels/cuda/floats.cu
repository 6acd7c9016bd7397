#include <array>

#include "kernels/cuda/tiles.cuh"
#include "kernels/formats/floats-inl.h"

// Numbers that stand for themselves: a thread has one.
namespace quern {
namespace {

using namespace HWY_NAMESPACE;

constexpr int kThreads = 256;

constexpr int BytesOf(Type type) { return type == Type::kF64 ? 8 : type == Type::kF32 ? 4 : 2; }

unsigned Blocks(int64_t count) { return static_cast<unsigned>((count + kThreads - 1) / kThreads); }

template <class Format>
__global__ void EncodeNumbers(EncodeCall call) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= call.rows * call.cols) return;
  Format::template EncodeAll<CudaLane>(static_cast<const float*>(call.in) + i, 1,
                                       call.out + i * BytesOf(Format::kType));
}

template <class Format>
__global__ void DecodeNumbers(DecodeCall call) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= call.count) return;
  Format::template DecodeAll<CudaLane>(call.in + i * BytesOf(Format::kType), 1, call.out + i);
}

template <class Format>
struct NumberFormat {
  // As a call: nvcc's front end, which chooses the kernels to compile, does not find the address of
  // a template, where the host's compiler does.
  static constexpr bool kEncodes = requires(const float* in, uint8_t* out) {
    Format::template EncodeAll<CudaLane>(in, 1, out);
  };

  static void Encode(const EncodeCall& call, cudaStream_t stream) {
    if constexpr (kEncodes) {
      EncodeNumbers<Format><<<Blocks(call.rows * call.cols), kThreads, 0, stream>>>(call);
    }
  }
  static void Decode(const DecodeCall& call, cudaStream_t stream) {
    DecodeNumbers<Format><<<Blocks(call.count), kThreads, 0, stream>>>(call);
  }
  static void EncodeHere(const EncodeCall& call) {
    if constexpr (kEncodes) {
      Format::template EncodeAll<CudaLane>(static_cast<const float*>(call.in),
                                           call.rows * call.cols, call.out);
    }
  }
  static void DecodeHere(const DecodeCall& call) {
    Format::template DecodeAll<CudaLane>(call.in, call.count, call.out);
  }
  static constexpr CudaFormat Entry() {
    return {Format::kType, kEncodes, false, Encode, Decode, EncodeHere, DecodeHere};
  }
};

static_assert(NumberFormat<F16>::kEncodes && NumberFormat<BF16>::kEncodes);
static_assert(NumberFormat<F32>::kEncodes && !NumberFormat<F64>::kEncodes);

constexpr std::array kEntries = {NumberFormat<F16>::Entry(), NumberFormat<BF16>::Entry(),
                                 NumberFormat<F32>::Entry(), NumberFormat<F64>::Entry()};

}  // namespace

std::span<const CudaFormat> CudaFloatsFormats() { return kEntries; }

}  // namespace quern
