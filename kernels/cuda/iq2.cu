#include "kernels/cuda/kernels.cuh"
#include "kernels/formats/iq2_s-inl.h"
#include "kernels/formats/iq2_xs-inl.h"
#include "kernels/formats/iq2_xxs-inl.h"

namespace quern {

std::span<const CudaFormat> CudaIq2Formats() {
  using namespace HWY_NAMESPACE;
  return BlockFormats<IQ2_S, IQ2_XS, IQ2_XXS>::kEntries;
}

}  // namespace quern
