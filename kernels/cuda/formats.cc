#include "kernels/cuda/formats.h"

#include <vector>

namespace quern {

std::span<const CudaFormat> CudaFormats() {
  static const std::vector<CudaFormat> formats = [] {
    std::vector<CudaFormat> all;
#ifdef QUERN_HAVE_CUDA
#define QUERN_CUDA_FAMILY(name) \
  for (const CudaFormat& format : Cuda##name##Formats()) all.push_back(format);
    QUERN_CUDA_FAMILIES(QUERN_CUDA_FAMILY)
#undef QUERN_CUDA_FAMILY
#endif
    return all;
  }();
  return formats;
}

const CudaFormat* CudaFormatOf(Type type) {
  for (const CudaFormat& format : CudaFormats()) {
    if (format.type == type) return &format;
  }
  return nullptr;
}

}  // namespace quern
