#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "kernels/codec.h"
#include "kernels/cuda/cuda_device.h"
#include "kernels/cuda/formats.h"
#include "kernels/half.h"
#include "tests/golden/block_table.h"
#include "tests/support/paths.h"

// What the tests of the codecs, which run on all of CodecTargets(), leave open of CUDA: which
// formats it has, and the inputs of 16 bits.
namespace quern {
namespace {

using testing::BlockImportance;
using testing::BlockInput;

std::vector<uint16_t> Halves(Type type, std::span<const float> weights) {
  std::vector<uint16_t> halves;
  for (const float w : weights) {
    halves.push_back(type == Type::kF16 ? FloatToHalf(w) : FloatToBf16(w));
  }
  return halves;
}

using Encode = void (*)(const CudaFormat& format, EncodeCall call);

// Rows of 768 f16 and bf16 weights, as many as fill no tile, are encoded as their floats are.
void CheckHalves(Encode encode) {
  constexpr int64_t kRows = 7, kCols = 768;
  std::vector<float> weights = BlockInput(3, 11);
  const std::vector<float> more = BlockInput(0, 11);
  std::copy(more.begin(), more.begin() + 4 * kCols, weights.begin() + kCols);
  weights.resize(kRows * kCols);
  std::vector<float> importance = BlockImportance(2, 11);
  importance.resize(kCols);
  for (const CudaFormat& format : CudaFormats()) {
    if (!IsQuantized(format.type)) continue;
    CAPTURE(NameOf(format.type));
    for (const Type from : {Type::kF16, Type::kBF16}) {
      for (const bool weighted : {false, true}) {
        if (!weighted && NeedsImportance(format.type)) continue;
        const std::vector<uint16_t> halves = Halves(from, weights);
        std::vector<float> exact(weights.size());
        Decode(from, std::as_bytes(std::span(halves)).data(), std::ssize(exact), exact.data());
        const std::span<const float> chosen =
            weighted ? std::span<const float>(importance) : std::span<const float>();
        std::vector<std::byte> wanted(static_cast<size_t>(kRows * RowBytes(format.type, kCols)));
        EncodeRows(format.type, exact.data(), kRows, kCols, chosen, wanted.data());
        std::vector<std::byte> got(wanted.size());
        encode(format, {.to = format.type,
                        .from = from,
                        .rows = kRows,
                        .cols = kCols,
                        .in = halves.data(),
                        .importance = weighted ? importance.data() : nullptr,
                        .means = nullptr,
                        .out = reinterpret_cast<uint8_t*>(got.data())});
        CHECK((got == wanted));
      }
    }
  }
}

TEST_CASE("CUDA has every type that the processor has") {
  if (CudaFormats().empty()) {
    testing::SaySkipped("CUDA's kernels: " + FindCudaDevices().why_none);
    return;
  }
  for (const TypeInfo& info : kTypes) {
    CAPTURE(info.name);
    const CudaFormat* format = CudaFormatOf(info.type);
    CHECK((format != nullptr) == CanDecode(info.type));
    CHECK((format && format->encodes) == CanEncode(info.type));
  }
}

TEST_CASE("the GPU's threads encode f16 and bf16 as the processor does, run one by one") {
  CheckHalves([](const CudaFormat& format, EncodeCall call) {
    std::vector<float> means(static_cast<size_t>(call.rows));
    call.means = means.data();
    if (format.has_grid) call.grid = ViewOf(GridTableOf(format.type));
    format.encode_here(call);
  });
}

TEST_CASE("a GPU encodes f16 and bf16 as the processor does") {
  const CudaDevices devices = FindCudaDevices();
  if (devices.count == 0) {
    testing::SaySkipped("kernels on a GPU: " + devices.why_none);
    return;
  }
  CheckHalves([](const CudaFormat&, EncodeCall call) {
    const auto device = OpenCudaDevice(0);
    const auto queue = device->NewQueue();
    const auto copied = [&](const void* from, int64_t bytes) {
      auto buffer =
          device->Allocate(Memory::kDevice, static_cast<size_t>(std::max<int64_t>(bytes, 4)));
      if (from) queue->Copy(buffer->data(), from, static_cast<size_t>(bytes));
      return buffer;
    };
    const auto in = copied(call.in, call.rows * call.cols * 2);
    const auto importance = copied(call.importance, call.importance ? call.cols * 4 : 0);
    const auto means = copied(nullptr, call.rows * 4);
    const int64_t size = call.rows * RowBytes(call.to, call.cols);
    const auto out = copied(nullptr, size);
    uint8_t* const result = call.out;
    call.in = in->data();
    if (call.importance) call.importance = importance->data<float>();
    call.means = means->data<float>();
    call.out = out->data<uint8_t>();
    queue->Encode(call);
    queue->Copy(result, out->data(), static_cast<size_t>(size));
    queue->Wait();
  });
}

TEST_CASE("a GPU that is not there is an error that says so") {
  CHECK_THROWS_AS(OpenCudaDevice(1000), Error);
  CHECK_THROWS_AS(OpenCudaDevice(-1), Error);
  CHECK((FindCudaDevices().count > 0) == FindCudaDevices().why_none.empty());
}

}  // namespace
}  // namespace quern
