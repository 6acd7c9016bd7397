// ptx-count [TYPE...]: how many PTX instructions warps issue for a weight, by type and with or
// without an importance matrix, of bf16 weights (normal, sigma 0.02): what there is to say of a
// kernel's speed where there is no GPU. Each is as many as the busiest of a warp's threads
// executes. `whole` are operations on whole numbers, comparisons and selections, which a GPU of
// compute capability 8 or 9 does half as many of in a cycle as of floats; the last step of
// compiling merges some of them.
#include <fmt/format.h>

#include <random>
#include <vector>

#include "bench/encode_types.h"
#include "kernels/codec.h"
#include "kernels/cuda/cuda_device.h"
#include "kernels/half.h"
#include "tests/ptx/cuda_runtime.h"

namespace quern {
namespace {

constexpr int64_t kRows = 32, kCols = 1024, kWeights = kRows * kCols;

class Counter {
 public:
  Counter() : device_(OpenCudaDevice(0)), queue_(device_->NewQueue()) {
    std::mt19937_64 bits(1);
    std::normal_distribution<float> normal;
    std::vector<uint16_t> weights(kWeights);
    for (uint16_t& half : weights) half = FloatToBf16(0.02F * normal(bits));
    std::vector<float> importance(kCols);
    for (float& w : importance) w = normal(bits) * normal(bits) + 4;
    in_ = device_->Allocate(Memory::kDevice, kWeights * 2);
    importance_ = device_->Allocate(Memory::kDevice, kCols * 4);
    means_ = device_->Allocate(Memory::kDevice, kRows * 4);
    out_ = device_->Allocate(Memory::kDevice, kWeights * 2);
    queue_->Copy(in_->data(), weights.data(), kWeights * 2);
    queue_->Copy(importance_->data(), importance.data(), kCols * 4);
  }

  void Print(Type type, bool weighted) {
    const ptx::Issued before = ptx::IssuedSoFar();
    queue_->Encode({.to = type,
                    .from = Type::kBF16,
                    .rows = kRows,
                    .cols = kCols,
                    .in = in_->data(),
                    .importance = weighted ? importance_->data<float>() : nullptr,
                    .means = means_->data<float>(),
                    .out = out_->data<uint8_t>()});
    queue_->Wait();
    const ptx::Issued after = ptx::IssuedSoFar();
    std::array<double, ptx::kUnits> each{};
    double all = 0;
    for (size_t u = 0; u < each.size(); ++u) {
      each[u] = 32.0 * static_cast<double>(after[u] - before[u]) / kWeights;
      if (u != static_cast<size_t>(ptx::Unit::kFree)) all += each[u];
    }
    fmt::print("{:8} {:>6} {:>9.1f} {:>8.1f} {:>8.1f} {:>8.1f} {:>8.1f} {:>8.1f} {:>8.1f}\n",
               NameOf(type), weighted ? "yes" : "no", all, each[0], each[1], each[2], each[3],
               each[4], each[5]);
  }

 private:
  std::shared_ptr<Device> device_;
  std::unique_ptr<DeviceQueue> queue_;
  std::unique_ptr<DeviceBuffer> in_, importance_, means_, out_;
};

int Run(const std::vector<std::string_view>& names) {
  const std::vector<Type> types = TypesToMeasure(names, IsEncodedQuantized);
  fmt::print("{:8} {:>6} {:>9} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}\n", "type", "matrix", "all",
             "float", "whole", "shared", "global", "local", "other");
  Counter counter;
  for (const Type type : types) {
    if (!NeedsImportance(type)) counter.Print(type, false);
    counter.Print(type, true);
  }
  return 0;
}

}  // namespace
}  // namespace quern

int main(int argc, char** argv) { return quern::RunProgram(argc, argv, quern::Run); }
