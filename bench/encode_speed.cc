// encode-speed [--target NAME] [TYPE...]: how many million weights a second each encoder gives on
// one thread, without and with an importance matrix, from 2^15 normal bf16 weights (sigma 0.02)
// that stay in the caches; the best of the runs that fit in half a second. All types on the fastest
// target by default.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <random>
#include <vector>

#include "base/error.h"
#include "bench/encode_types.h"
#include "kernels/codec.h"
#include "kernels/half.h"
#include "kernels/targets.h"

namespace quern {
namespace {

// What quantize encodes at a time; a run is shorter than a time slice of a busy machine.
constexpr int64_t kRows = 8, kCols = 4096;

struct Inputs {
  std::vector<float> weights, importance;

  Inputs() : weights(static_cast<size_t>(kRows * kCols)), importance(static_cast<size_t>(kCols)) {
    std::mt19937_64 bits(1);
    std::normal_distribution<float> normal;
    for (float& weight : weights) weight = Bf16ToFloat(FloatToBf16(0.02F * normal(bits)));
    for (float& value : importance) {
      const float g = normal(bits);
      value = g * g + 0.01F;
    }
  }
};

double MillionsPerSecond(Type type, const Inputs& inputs, std::span<const float> importance) {
  using Clock = std::chrono::steady_clock;
  std::vector<std::byte> out(static_cast<size_t>(kRows * RowBytes(type, kCols)));
  const auto run = [&] {
    EncodeRows(type, inputs.weights.data(), kRows, kCols, importance, out.data());
  };
  run();  // tables are made on first use
  double best = 1e9;
  for (const auto end = Clock::now() + std::chrono::milliseconds(500); Clock::now() < end;) {
    const auto start = Clock::now();
    run();
    best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
  }
  return static_cast<double>(kRows * kCols) / best / 1e6;
}

void Print(const std::vector<Type>& types) {
  const Inputs inputs;
  fmt::print("{:8} {:>10} {:>10}\n", "type", "no matrix", "matrix");
  for (const Type type : types) {
    fmt::print(
        "{:8} {:>10} {:>10.1f}\n", NameOf(type),
        NeedsImportance(type) ? "-" : fmt::format("{:.1f}", MillionsPerSecond(type, inputs, {})),
        MillionsPerSecond(type, inputs, inputs.importance));
  }
}

int Run(std::vector<std::string_view> args) {
  if (args.size() >= 2 && args[0] == "--target") {
    if (!UseKernelTarget(args[1])) {
      Fail(ErrorKind::kBadInput, "this machine has the targets {}, not '{}'",
           fmt::join(KernelTargets(), ", "), args[1]);
    }
    args.erase(args.begin(), args.begin() + 2);
  }
  Print(TypesToMeasure(args, CanEncode));
  return 0;
}

}  // namespace
}  // namespace quern

int main(int argc, char** argv) { return quern::RunProgram(argc, argv, quern::Run); }
