#include "kernels/cuda/kernels.cuh"
#include "kernels/formats/iq3_s-inl.h"
#include "kernels/formats/iq3_xxs-inl.h"

namespace quern {

std::span<const CudaFormat> CudaIq3Formats() {
  using namespace HWY_NAMESPACE;
  return BlockFormats<IQ3_S, IQ3_XXS>::kEntries;
}

}  // namespace quern
