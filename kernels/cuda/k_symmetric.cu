#include "kernels/cuda/kernels.cuh"
#include "kernels/formats/q3_k-inl.h"
#include "kernels/formats/q6_k-inl.h"

namespace quern {

std::span<const CudaFormat> CudaKSymmetricFormats() {
  using namespace HWY_NAMESPACE;
  return BlockFormats<Q3_K, Q6_K>::kEntries;
}

}  // namespace quern
