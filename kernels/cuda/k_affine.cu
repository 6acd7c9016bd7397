#include "kernels/cuda/kernels.cuh"
#include "kernels/formats/q2_k-inl.h"
#include "kernels/formats/q4_k-inl.h"
#include "kernels/formats/q5_k-inl.h"

namespace quern {

std::span<const CudaFormat> CudaKAffineFormats() {
  using namespace HWY_NAMESPACE;
  return BlockFormats<Q2_K, Q4_K, Q5_K>::kEntries;
}

}  // namespace quern
