#pragma once

#include <span>

#include "kernels/device.h"

struct CUstream_st;

namespace quern {

// What was compiled for GPUs of one format. The calls with a stream put their kernels into it, and
// an error of theirs is left to cudaGetLastError; those without run the same threads one after the
// other on the processor, with pointers to its memory.
struct CudaFormat {
  Type type;
  bool encodes;
  bool has_grid;  // EncodeCall::grid is needed
  void (*encode)(const EncodeCall& call, CUstream_st* stream);
  void (*decode)(const DecodeCall& call, CUstream_st* stream);
  void (*encode_here)(const EncodeCall& call);
  void (*decode_here)(const DecodeCall& call);
};

// All of this build, none in one without CUDA.
std::span<const CudaFormat> CudaFormats();
// Null for a type that is not of them.
const CudaFormat* CudaFormatOf(Type type);

// The .cu files, each compiled for itself.
#define QUERN_CUDA_FAMILIES(X) \
  X(Floats) X(Legacy) X(KAffine) X(KSymmetric) X(Small) X(Iq1) X(Iq2) X(Iq3)
#define QUERN_CUDA_FAMILY(name) std::span<const CudaFormat> Cuda##name##Formats();
QUERN_CUDA_FAMILIES(QUERN_CUDA_FAMILY)
#undef QUERN_CUDA_FAMILY

}  // namespace quern
