#include "kernels/codec_targets.h"

#include <algorithm>
#include <memory>

#include "base/error.h"
#include "kernels/codec_target.h"
#include "kernels/cuda/cuda_device.h"
#include "kernels/cuda/formats.h"
#include "kernels/targets.h"

namespace quern {
namespace {

constexpr std::string_view kHere = "cuda-here";
constexpr std::string_view kCuda = "cuda";

class CudaHere : public CodecTarget {
 public:
  void Encode(Type type, const EncodeJob& job) override {
    const CudaFormat* format = CudaFormatOf(type);
    QUERN_CHECK(format && format->encodes);
    std::vector<float> means(static_cast<size_t>(job.rows));
    EncodeCall call{.to = type,
                    .from = Type::kF32,
                    .rows = job.rows,
                    .cols = job.cols,
                    .in = job.in,
                    .importance = job.importance,
                    .means = means.data(),
                    .out = job.out};
    if (format->has_grid) call.grid = ViewOf(GridTableOf(type));
    format->encode_here(call);
  }
  void Decode(Type type, const uint8_t* in, int64_t count, float* out) override {
    const CudaFormat* format = CudaFormatOf(type);
    QUERN_CHECK(format);
    format->decode_here({type, count, in, out});
  }
};

// One call after the other, each with memory of its own.
class OnDevice : public CodecTarget {
 public:
  explicit OnDevice(std::shared_ptr<Device> device)
      : device_(std::move(device)), queue_(device_->NewQueue()) {}

  void Encode(Type type, const EncodeJob& job) override {
    const auto in = Copied(job.in, static_cast<size_t>(job.rows * job.cols) * sizeof(float));
    const auto importance =
        Copied(job.importance, job.importance ? static_cast<size_t>(job.cols) * sizeof(float) : 0);
    const auto means =
        device_->Allocate(Memory::kDevice, static_cast<size_t>(job.rows) * sizeof(float));
    const auto size = static_cast<size_t>(job.rows * RowBytes(type, job.cols));
    const auto out = device_->Allocate(Memory::kDevice, size);
    queue_->Encode({.to = type,
                    .from = Type::kF32,
                    .rows = job.rows,
                    .cols = job.cols,
                    .in = in->data(),
                    .importance = job.importance ? importance->data<float>() : nullptr,
                    .means = means->data<float>(),
                    .out = out->data<uint8_t>()});
    queue_->Copy(job.out, out->data(), size);
    queue_->Wait();
  }
  void Decode(Type type, const uint8_t* in, int64_t count, float* out) override {
    const auto blocks = Copied(in, static_cast<size_t>(RowBytes(type, count)));
    const size_t size = static_cast<size_t>(count) * sizeof(float);
    const auto weights = device_->Allocate(Memory::kDevice, size);
    queue_->Decode({type, count, blocks->data<uint8_t>(), weights->data<float>()});
    queue_->Copy(out, weights->data(), size);
    queue_->Wait();
  }

 private:
  std::unique_ptr<DeviceBuffer> Copied(const void* from, size_t bytes) {
    auto buffer = device_->Allocate(Memory::kDevice, std::max<size_t>(bytes, 1));
    queue_->Copy(buffer->data(), from, bytes);
    return buffer;
  }

  std::shared_ptr<Device> device_;
  std::unique_ptr<DeviceQueue> queue_;
};

}  // namespace

std::vector<std::string> CodecTargets() {
  std::vector<std::string> names = KernelTargets();
  if (!CudaFormats().empty()) names.emplace_back(kHere);
  if (FindCudaDevices().count > 0) names.emplace_back(kCuda);
  return names;
}

bool UseCodecTarget(std::string_view name) {
  static std::unique_ptr<CodecTarget> target;
  if (name == kHere && !CudaFormats().empty()) {
    target = std::make_unique<CudaHere>();
  } else if (name == kCuda && FindCudaDevices().count > 0) {
    target = std::make_unique<OnDevice>(OpenCudaDevice(0));
  } else if (UseKernelTarget(name)) {
    target.reset();
  } else {
    return false;
  }
  SetCodecTarget(target.get());
  return true;
}

}  // namespace quern
