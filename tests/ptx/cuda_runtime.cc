// Stands for the CUDA runtime in test-ptx: a GPU that is the processor, which runs the kernels' PTX
// (QUERN_PTX_DIR has it) when they are launched. So all of kernels/cuda/ is under test, what calls
// the runtime included.
#include "tests/ptx/cuda_runtime.h"

#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "tests/ptx/machine.h"
#include "tests/support/paths.h"

namespace quern::ptx {
namespace {

// What stands in an anonymous namespace has a number in its name that nvcc makes of the file's path
// ("_GLOBAL__N__6095a2b9_9_floats_cu"), and an object from a compiler cache may come from another.
std::string WithoutPath(std::string name) {
  constexpr std::string_view kBefore = "_GLOBAL__N__";
  const size_t at = name.find(kBefore);
  if (at != name.npos) name.erase(at + kBefore.size(), 8);
  return name;
}

class Gpu {
 public:
  static Gpu& Get() {
    static Gpu gpu;
    return gpu;
  }

  void Register(const void* function, const char* name) { names_[function] = WithoutPath(name); }

  cudaError_t Launch(const void* function, unsigned blocks, unsigned threads, void** arguments,
                     size_t shared_bytes) {
    std::lock_guard lock(mutex_);
    if (programs_.empty()) ReadPrograms();
    const auto name = names_.find(function);
    if (name == names_.end()) return cudaErrorInvalidDeviceFunction;
    const auto kernel = kernels_.find(name->second);
    if (kernel == kernels_.end()) throw Fault("there is no PTX of " + name->second);
    // More than that a kernel has to be given beforehand.
    if (kernel->second->shared_bytes + shared_bytes > 48 * 1024) return cudaErrorInvalidValue;
    const auto* parameters = static_cast<const uint8_t*>(arguments[0]);
    Run(*kernel->second,
        {blocks, threads, shared_bytes, {parameters, kernel->second->parameter_bytes}}, memory_,
        counts_ ? &issued_ : nullptr);
    return cudaSuccess;
  }

  Issued IssuedSoFar() {
    std::lock_guard lock(mutex_);
    counts_ = true;
    return issued_;
  }

  cudaError_t Allocate(void** data, size_t bytes) {
    *data = std::aligned_alloc(256, bytes / 256 * 256 + 256);
    if (!*data) return cudaErrorMemoryAllocation;
    std::memset(*data, 0xcd, bytes);
    std::lock_guard lock(mutex_);
    memory_.Add(*data, bytes);
    return cudaSuccess;
  }
  void Free(void* data) {
    std::lock_guard lock(mutex_);
    memory_.Remove(data);
    std::free(data);
  }

 private:
  void ReadPrograms() {
    for (const auto& file : std::filesystem::directory_iterator(QUERN_PTX_DIR)) {
      if (file.path().extension() != ".ptx") continue;
      Program& program = programs_.emplace_back(Parse(testing::ReadText(file.path())));
      for (const Kernel& kernel : program.kernels) kernels_[WithoutPath(kernel.name)] = &kernel;
      for (const auto& array : program.arrays) memory_.Add(array.data(), array.size() * 8);
    }
  }

  std::mutex mutex_;
  std::deque<Program> programs_;
  std::map<std::string, const Kernel*> kernels_;
  std::map<const void*, std::string> names_;
  Memory memory_;
  Issued issued_{};
  bool counts_ = false;
};

// What <<<>>> says before the launch that it belongs to.
struct Configuration {
  dim3 blocks, threads;
  size_t shared_bytes = 0;
};
thread_local Configuration configuration;

// Errors of launches are asked for later.
thread_local cudaError_t last_error = cudaSuccess;

}  // namespace

Issued IssuedSoFar() { return Gpu::Get().IssuedSoFar(); }

}  // namespace quern::ptx

using quern::ptx::configuration;
using quern::ptx::Gpu;
using quern::ptx::last_error;

extern "C" {

void** __cudaRegisterFatBinary(void*) {
  static void* handle;
  return &handle;
}
void __cudaRegisterFatBinaryEnd(void**) {}
void __cudaUnregisterFatBinary(void**) {}
void __cudaRegisterFunction(void**, const char* function, char*, const char* name, int, uint3*,
                            uint3*, dim3*, dim3*, int*) {
  Gpu::Get().Register(function, name);
}
unsigned __cudaPushCallConfiguration(dim3 blocks, dim3 threads, size_t shared_bytes, void*) {
  configuration = {blocks, threads, shared_bytes};
  return 0;
}
cudaError_t __cudaPopCallConfiguration(dim3* blocks, dim3* threads, size_t* shared_bytes, void*) {
  *blocks = configuration.blocks;
  *threads = configuration.threads;
  *shared_bytes = configuration.shared_bytes;
  return cudaSuccess;
}
cudaError_t cudaLaunchKernel(const void* function, dim3 blocks, dim3 threads, void** arguments,
                             size_t shared_bytes, cudaStream_t) {
  const cudaError_t error =
      Gpu::Get().Launch(function, blocks.x, threads.x, arguments, shared_bytes);
  if (error != cudaSuccess) last_error = error;
  return error;
}
#if CUDART_VERSION >= 12000
cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* function) {
  *kernel = static_cast<cudaKernel_t>(const_cast<void*>(function));
  return cudaSuccess;
}
cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 blocks, dim3 threads, void** arguments,
                               size_t shared_bytes, cudaStream_t stream) {
  return cudaLaunchKernel(kernel, blocks, threads, arguments, shared_bytes, stream);
}
cudaError_t cudaInitDevice(int, unsigned, unsigned) { return cudaSuccess; }
#endif

cudaError_t cudaMalloc(void** data, size_t bytes) { return Gpu::Get().Allocate(data, bytes); }
cudaError_t cudaFree(void* data) {
  Gpu::Get().Free(data);
  return cudaSuccess;
}
cudaError_t cudaHostAlloc(void** data, size_t bytes, unsigned) {
  *data = std::malloc(bytes);
  return cudaSuccess;
}
cudaError_t cudaFreeHost(void* data) {
  std::free(data);
  return cudaSuccess;
}
cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind) {
  std::memcpy(to, from, bytes);
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind,
                            cudaStream_t) {
  std::memcpy(to, from, bytes);
  return cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = nullptr;
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t) { return cudaSuccess; }
cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  *properties = {};
  std::strcpy(properties->name, "PTX on the processor");
  properties->major = 9;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int) { return cudaSuccess; }
cudaError_t cudaSetDeviceFlags(unsigned) { return cudaSuccess; }
cudaError_t cudaGetLastError() { return std::exchange(last_error, cudaSuccess); }
const char* cudaGetErrorString(cudaError_t) { return "an error of the CUDA runtime"; }

}  // extern "C"
