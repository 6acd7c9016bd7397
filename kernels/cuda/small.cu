#include "kernels/cuda/kernels.cuh"
#include "kernels/formats/iq4_nl-inl.h"
#include "kernels/formats/iq4_xs-inl.h"
#include "kernels/formats/mxfp4-inl.h"
#include "kernels/formats/nvfp4-inl.h"
#include "kernels/formats/q1_0-inl.h"
#include "kernels/formats/q2_0-inl.h"
#include "kernels/formats/tq1_0-inl.h"
#include "kernels/formats/tq2_0-inl.h"

namespace quern {

std::span<const CudaFormat> CudaSmallFormats() {
  using namespace HWY_NAMESPACE;
  return BlockFormats<IQ4_NL, IQ4_XS, MXFP4, NVFP4, Q1_0, Q2_0, TQ1_0, TQ2_0>::kEntries;
}

}  // namespace quern
