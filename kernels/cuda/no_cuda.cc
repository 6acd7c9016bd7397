// In place of cuda_device.cc in a build without CUDA.
#include "base/error.h"
#include "kernels/cuda/cuda_device.h"

namespace quern {

CudaDevices FindCudaDevices() { return {0, "this build has no CUDA"}; }

std::shared_ptr<Device> OpenCudaDevice(int) {
  Fail(ErrorKind::kUnsupported, "cuda: {}", FindCudaDevices().why_none);
}

}  // namespace quern
