// cuda-speed [TYPE...]: how many billion weights a second the GPU's encoders give, kernels alone,
// bf16 weights (normal, sigma 0.02) in its memory, without and with an importance matrix; the bytes
// read and written by that, and their share of what a copy within that memory reaches in this run.
// Beside them all cores of the processor, from float32. All types by default. Where there is no GPU
// it says so and ends with 0.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <random>
#include <vector>

#include "base/error.h"
#include "base/parallel.h"
#include "bench/encode_types.h"
#include "kernels/codec.h"
#include "kernels/cuda/cuda_device.h"
#include "kernels/half.h"

namespace quern {
namespace {

constexpr int64_t kCols = 4096, kRows = 16384;  // 64 M weights, several waves of every kernel
constexpr int64_t kRowsHere = 512;
constexpr int64_t kWeights = kCols * kRows;

double Seconds(const std::function<void()>& run) {
  const auto start = std::chrono::steady_clock::now();
  run();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Of repetitions that take half a second together, the best.
double BestSeconds(const std::function<void()>& run) {
  run();
  double best = 1e9, total = 0;
  for (int i = 0; i < 3 || total < 0.5; ++i) {
    const double seconds = Seconds(run);
    best = std::min(best, seconds);
    total += seconds;
  }
  return best;
}

struct Inputs {
  std::vector<uint16_t> halves;
  std::vector<float> weights, importance;

  Inputs() {
    std::mt19937_64 bits(1);
    std::normal_distribution<float> normal;
    // Rows from a supply of random numbers, each beginning elsewhere in it.
    std::vector<uint16_t> supply(1 << 20);
    for (uint16_t& half : supply) half = FloatToBf16(0.02F * normal(bits));
    halves.resize(kWeights);
    for (int64_t row = 0; row < kRows; ++row) {
      const size_t from = bits() % (supply.size() - kCols);
      std::copy_n(supply.begin() + static_cast<std::ptrdiff_t>(from), kCols,
                  halves.begin() + row * kCols);
    }
    for (int64_t i = 0; i < kRowsHere * kCols; ++i) {
      weights.push_back(Bf16ToFloat(halves[static_cast<size_t>(i)]));
    }
    for (int64_t i = 0; i < kCols; ++i) {
      const float g = normal(bits);
      importance.push_back(g * g + 0.01F);
    }
  }
};

class Speed {
 public:
  Speed() : device_(OpenCudaDevice(0)), queue_(device_->NewQueue()) {
    in_ = Device(kWeights * 2);
    out_ = Device(kWeights * 2);
    importance_ = Device(kCols * 4);
    means_ = Device(kRows * 4);
    host_ = device_->Allocate(Memory::kHost, static_cast<size_t>(kWeights * 2));
    queue_->Copy(in_->data(), inputs_.halves.data(), inputs_.halves.size() * 2);
    queue_->Copy(importance_->data(), inputs_.importance.data(), kCols * 4);
    queue_->Wait();
  }

  void PrintCopies() {
    const auto gigabytes = [&](void* to, const void* from) {
      return kWeights * 2 / 1e9 / BestSeconds([&] {
               queue_->Copy(to, from, kWeights * 2);
               queue_->Wait();
             });
    };
    const double there = gigabytes(in_->data(), host_->data());
    const double back = gigabytes(host_->data(), out_->data());
    // Each byte is read and written.
    copy_ = 2 * gigabytes(out_->data(), in_->data());
    queue_->Copy(in_->data(), inputs_.halves.data(), inputs_.halves.size() * 2);
    queue_->Wait();
    fmt::print("{}: copies to it {:.1f}, from it {:.1f}, within it {:.0f} GB/s read and written\n",
               device_->name(), there, back, copy_);
    fmt::print("{:8} {:>6} {:>14} {:>8} {:>8} {:>16}\n", "type", "matrix", "G weights/s", "GB/s",
               "of copy", "processor, G w/s");
  }

  void Print(Type type, bool weighted) {
    const EncodeCall call{.to = type,
                          .from = Type::kBF16,
                          .rows = kRows,
                          .cols = kCols,
                          .in = in_->data(),
                          .importance = weighted ? importance_->data<float>() : nullptr,
                          .means = means_->data<float>(),
                          .out = out_->data<uint8_t>()};
    const double seconds = BestSeconds([&] {
      queue_->Encode(call);
      queue_->Wait();
    });
    const double bytes = static_cast<double>(kWeights * 2 + kRows * RowBytes(type, kCols));
    const double rate = bytes / seconds / 1e9;
    fmt::print("{:8} {:>6} {:>14.1f} {:>8.0f} {:>6.1f} % {:>16.3f}\n", NameOf(type),
               weighted ? "yes" : "no", kWeights / seconds / 1e9, rate, 100 * rate / copy_,
               Here(type, weighted));
  }

 private:
  std::unique_ptr<DeviceBuffer> Device(int64_t bytes) {
    return device_->Allocate(Memory::kDevice, static_cast<size_t>(bytes));
  }

  double Here(Type type, bool weighted) const {
    std::vector<std::byte> out(static_cast<size_t>(kRowsHere * RowBytes(type, kCols)));
    const std::span<const float> importance =
        weighted ? std::span<const float>(inputs_.importance) : std::span<const float>();
    const double seconds = BestSeconds([&] {
      ParallelFor(kRowsHere, 8, [&](int64_t begin, int64_t end) {
        EncodeRows(type, inputs_.weights.data() + begin * kCols, end - begin, kCols, importance,
                   out.data() + begin * RowBytes(type, kCols));
      });
    });
    return static_cast<double>(kRowsHere * kCols) / seconds / 1e9;
  }

  Inputs inputs_;
  std::shared_ptr<quern::Device> device_;
  std::unique_ptr<DeviceQueue> queue_;
  std::unique_ptr<DeviceBuffer> in_, out_, importance_, means_, host_;
  double copy_ = 0;
};

int Run(const std::vector<std::string_view>& names) {
  const CudaDevices devices = FindCudaDevices();
  if (devices.count == 0) {
    fmt::print("no GPU: {}\n", devices.why_none);
    return 0;
  }
  const std::vector<Type> types = TypesToMeasure(names, IsEncodedQuantized);
  Speed speed;
  speed.PrintCopies();
  for (const Type type : types) {
    if (!NeedsImportance(type)) speed.Print(type, false);
    speed.Print(type, true);
  }
  return 0;
}

}  // namespace
}  // namespace quern

int main(int argc, char** argv) { return quern::RunProgram(argc, argv, quern::Run); }
