#pragma once

#include <memory>
#include <string>

#include "kernels/device.h"

namespace quern {

// The GPUs that this build and this machine can use.
struct CudaDevices {
  int count = 0;
  std::string why_none;  // where count is 0: "this build has no CUDA", or what the driver says
};
CudaDevices FindCudaDevices();

// GPU `index`, one of FindCudaDevices(). Error kUnsupported where there is no such one.
std::shared_ptr<Device> OpenCudaDevice(int index);

}  // namespace quern
