#include "kernels/cuda/kernels.cuh"
#include "kernels/formats/q4_0-inl.h"
#include "kernels/formats/q4_1-inl.h"
#include "kernels/formats/q5_0-inl.h"
#include "kernels/formats/q5_1-inl.h"
#include "kernels/formats/q8_0-inl.h"

namespace quern {

std::span<const CudaFormat> CudaLegacyFormats() {
  using namespace HWY_NAMESPACE;
  return BlockFormats<Q4_0, Q4_1, Q5_0, Q5_1, Q8_0>::kEntries;
}

}  // namespace quern
