#include "kernels/cuda/kernels.cuh"
#include "kernels/formats/iq1_m-inl.h"
#include "kernels/formats/iq1_s-inl.h"

namespace quern {

std::span<const CudaFormat> CudaIq1Formats() {
  using namespace HWY_NAMESPACE;
  return BlockFormats<IQ1_M, IQ1_S>::kEntries;
}

}  // namespace quern
