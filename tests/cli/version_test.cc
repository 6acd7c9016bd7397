#include <doctest/doctest.h>

#include "kernels/cuda/cuda_device.h"
#include "kernels/targets.h"
#include "tests/support/paths.h"
#include "tests/support/process.h"

namespace quern {
namespace {

TEST_CASE("--version tells the version, the processor's instructions and the GPU") {
  const auto result = testing::Quern({"--version"});
  CHECK(result.exit_code == 0);
  CHECK(result.err.empty());
  CHECK(result.out.starts_with("quern 0."));
  CHECK(result.out.find("processor: " + KernelTargets().front()) != std::string::npos);
  const std::string gpu =
      FindCudaDevices().count > 0 ? "with CUDA" : "GPU: " + FindCudaDevices().why_none;
  CHECK(result.out.find(gpu) != std::string::npos);
}

}  // namespace
}  // namespace quern
