#include "kernels/cuda/cuda_device.h"

#include <cuda_runtime_api.h>

#include <map>
#include <mutex>

#include "base/error.h"
#include "kernels/cuda/formats.h"

namespace quern {
namespace {

// The oldest GPUs that the kernels are compiled for.
constexpr int kLeastMajor = 8;

void Check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // what is not sticky is forgotten
  const bool memory = error == cudaErrorMemoryAllocation;
  throw DeviceError(memory ? DeviceError::Kind::kOutOfMemory : DeviceError::Kind::kLost,
                    fmt::format("{}: {}", what, cudaGetErrorString(error)));
}

class CudaBuffer : public DeviceBuffer {
 public:
  CudaBuffer(void* data, size_t size, Memory memory) : DeviceBuffer(data, size), memory_(memory) {}
  // An error here is one of earlier work, and Wait has told it.
  ~CudaBuffer() override {
    if (memory_ == Memory::kHost) {
      cudaFreeHost(data());
    } else {
      cudaFree(data());
    }
  }

 private:
  Memory memory_;
};

// The grids of the IQ types in the GPU's memory, copied there on first use.
class DeviceGrids {
 public:
  explicit DeviceGrids(Device& device) : device_(device) {}

  GridView Of(Type type) {
    std::lock_guard lock(mutex_);
    auto [entry, fresh] = grids_.try_emplace(type);
    try {
      if (fresh) entry->second = Upload(GridTableOf(type));
    } catch (...) {
      grids_.erase(entry);
      throw;
    }
    const Grid& grid = entry->second;
    return {grid.choices->data<GridTable::Choice>(), grid.codes->data<uint16_t>(),
            grid.index->data<int32_t>()};
  }

 private:
  struct Grid {
    std::unique_ptr<DeviceBuffer> choices, codes, index;
  };

  template <class T>
  std::unique_ptr<DeviceBuffer> Upload(const std::vector<T>& values) {
    const size_t bytes = values.size() * sizeof(T);
    auto buffer = device_.Allocate(Memory::kDevice, bytes);
    Check(cudaMemcpy(buffer->data(), values.data(), bytes, cudaMemcpyHostToDevice), "cudaMemcpy");
    // The copy may still be on its way, and other streams do not wait for it.
    Check(cudaStreamSynchronize(nullptr), "cudaMemcpy");
    return buffer;
  }
  Grid Upload(const GridTable& table) {
    return {Upload(table.choices), Upload(table.codes), Upload(table.index)};
  }

  Device& device_;
  std::mutex mutex_;
  std::map<Type, Grid> grids_;
};

class CudaQueue : public DeviceQueue {
 public:
  CudaQueue(int device, DeviceGrids& grids) : device_(device), grids_(grids) {
    Check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreate");
  }
  ~CudaQueue() override {
    cudaSetDevice(device_);
    cudaStreamDestroy(stream_);
  }

  void Copy(void* to, const void* from, size_t bytes) override {
    if (bytes == 0) return;
    Use();
    Check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream_), "cudaMemcpyAsync");
  }
  void Encode(EncodeCall call) override {
    const CudaFormat* format = CudaFormatOf(call.to);
    QUERN_CHECK(format && format->encodes);
    if (call.rows == 0 || call.cols == 0) return;
    Use();
    if (format->has_grid) call.grid = grids_.Of(call.to);
    format->encode(call, stream_);
    Check(cudaGetLastError(), "an encoder's launch");
  }
  void Decode(const DecodeCall& call) override {
    const CudaFormat* format = CudaFormatOf(call.from);
    QUERN_CHECK(format);
    if (call.count == 0) return;
    Use();
    format->decode(call, stream_);
    Check(cudaGetLastError(), "a decoder's launch");
  }
  void Wait() override {
    Use();
    Check(cudaStreamSynchronize(stream_), "the GPU's work");
  }

 private:
  // A thread's current GPU is its own.
  void Use() { Check(cudaSetDevice(device_), "cudaSetDevice"); }

  int device_;
  DeviceGrids& grids_;
  cudaStream_t stream_ = nullptr;
};

class CudaDevice : public Device {
 public:
  CudaDevice(int index, const cudaDeviceProp& properties)
      : index_(index), name_(fmt::format("{} (cuda:{})", properties.name, index)), grids_(*this) {}

  std::string name() const override { return name_; }
  bool CanEncode(Type type) const override {
    const CudaFormat* format = CudaFormatOf(type);
    return format && format->encodes;
  }
  std::unique_ptr<DeviceBuffer> Allocate(Memory memory, size_t bytes) override {
    Start();
    void* data = nullptr;
    if (memory == Memory::kHost) {
      Check(cudaHostAlloc(&data, bytes, cudaHostAllocPortable), "cudaHostAlloc");
    } else {
      Check(cudaMalloc(&data, bytes), "cudaMalloc");
    }
    return std::make_unique<CudaBuffer>(data, bytes, memory);
  }
  std::unique_ptr<DeviceQueue> NewQueue() override {
    Start();
    return std::make_unique<CudaQueue>(index_, grids_);
  }

 private:
  // The first time a GPU is used it takes some tenths of a second, so that is when it has to be.
  // A thread that waits for it leaves its core to those that encode.
  void Start() {
    std::call_once(started_, [this] {
#if CUDART_VERSION >= 12000
      Check(cudaInitDevice(index_, cudaDeviceScheduleBlockingSync, cudaInitDeviceFlagsAreValid),
            "cudaInitDevice");
#else
      Check(cudaSetDevice(index_), "cudaSetDevice");
      Check(cudaSetDeviceFlags(cudaDeviceScheduleBlockingSync), "cudaSetDeviceFlags");
#endif
    });
    Check(cudaSetDevice(index_), "cudaSetDevice");
  }

  std::once_flag started_;
  int index_;
  std::string name_;
  DeviceGrids grids_;
};

}  // namespace

CudaDevices FindCudaDevices() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess) {
    cudaGetLastError();
    return {0, cudaGetErrorString(error)};
  }
  return {count, count == 0 ? "the driver names no GPU" : ""};
}

std::shared_ptr<Device> OpenCudaDevice(int index) {
  const CudaDevices devices = FindCudaDevices();
  if (devices.count == 0) Fail(ErrorKind::kUnsupported, "cuda: no GPU: {}", devices.why_none);
  if (index < 0 || index >= devices.count) {
    Fail(ErrorKind::kUnsupported, "cuda:{}: there are the GPUs 0 to {}", index, devices.count - 1);
  }
  cudaDeviceProp properties;
  if (const cudaError_t error = cudaGetDeviceProperties(&properties, index); error != cudaSuccess) {
    Fail(ErrorKind::kUnsupported, "cuda:{}: {}", index, cudaGetErrorString(error));
  }
  if (properties.major < kLeastMajor) {
    Fail(ErrorKind::kUnsupported,
         "cuda:{}: {} has compute capability {}.{}, the kernels are made for {}.0 and up", index,
         properties.name, properties.major, properties.minor, kLeastMajor);
  }
  return std::make_shared<CudaDevice>(index, properties);
}

}  // namespace quern
