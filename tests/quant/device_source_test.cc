#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>
#include <string>
#include <thread>

#include "base/error.h"
#include "kernels/codec.h"
#include "quant/typed_source.h"
#include "tests/support/fake_device.h"
#include "tests/support/memory_source.h"

// Quantizing with a device beside the processor, whatever the device does.
namespace quern {
namespace {

using testing::FakeDevice;
using testing::MemorySource;
using testing::MemoryTensor;

MemoryTensor Wave(std::vector<int64_t> shape) {
  int64_t count = 1;
  for (const int64_t size : shape) count *= size;
  MemoryTensor tensor{"w", std::move(shape), {}};
  for (int64_t i = 0; i < count; ++i) {
    tensor.values.push_back(std::sin(static_cast<float>(i) * 0.37F) * 0.1F);
  }
  return tensor;
}

// The tensor as a source of a type.
std::shared_ptr<const TensorSource> SourceOf(const MemoryTensor& tensor, Type type) {
  auto source = std::make_shared<MemorySource>("memory.gguf", std::vector{tensor});
  if (type == Type::kF32) return source;
  return std::make_shared<TypedSource>(source, std::vector{type});
}

std::vector<float> ImportanceFor(int64_t count) {
  std::vector<float> importance(static_cast<size_t>(count));
  for (size_t i = 0; i < importance.size(); ++i) importance[i] = static_cast<float>(i % 91) + 0.5F;
  return importance;
}

// A fake device with small slots, and what it told the user.
struct Bench {
  std::shared_ptr<FakeDevice> device = std::make_shared<FakeDevice>();
  std::mutex mutex;
  std::vector<std::string> notes;

  std::shared_ptr<DeviceEncoder> Encoder(int slots = 2) {
    auto encoder = Starting(slots);
    encoder->WaitForSlots();
    return encoder;
  }
  // One that may have no slots yet.
  std::shared_ptr<DeviceEncoder> Starting(
      int slots = 2, DeviceEncoder::Start start = DeviceEncoder::Start::kAtOnce) {
    return std::make_shared<DeviceEncoder>(
        device,
        [this](std::string_view note) {
          std::lock_guard lock(mutex);
          notes.emplace_back(note);
        },
        DeviceEncoder::Options{
            .start = start, .slots = slots, .weights = 1 << 12, .least_weights = 1 << 9});
  }
};

// Bytes of one slot of that encoder in the device's memory, for so many weights.
constexpr int64_t SlotBytes(int64_t weights) {
  return weights * 4 * 2 + weights / 8 + weights * 9 / 8;
}

struct Outcome {
  std::vector<std::byte> bytes, wanted;
};

// 256 x 40 weights to q4_K with a matrix, with the device and without.
Outcome Quantize(Bench& bench) {
  const MemoryTensor tensor = Wave({256, 40});
  const Importance importance = {ImportanceFor(256)};
  const auto base = SourceOf(tensor, Type::kBF16);
  const TypedSource alone(base, {Type::kQ4_K}, importance);
  const TypedSource shared(base, {Type::kQ4_K}, importance, nullptr, bench.Encoder());
  return {shared.ReadAll(0), alone.ReadAll(0)};
}

TEST_CASE("a device gives the processor's bytes for every type, input, matrix and shape") {
  for (const TypeInfo& info : kTypes) {
    if (!IsQuantized(info.type) || !CanEncode(info.type)) continue;
    CAPTURE(info.name);
    for (const Type from : {Type::kF32, Type::kBF16, Type::kF16, Type::kQ8_0}) {
      CAPTURE(NameOf(from));
      for (const bool weighted : {false, true}) {
        if (!weighted && NeedsImportance(info.type)) continue;
        Bench bench;
        const MemoryTensor tensor = Wave({256, 5, 4});
        Importance importance(1);
        if (weighted) importance[0] = ImportanceFor(256 * 4);
        const auto base = SourceOf(tensor, from);
        const TypedSource alone(base, {info.type}, importance);
        const TypedSource shared(base, {info.type}, importance, nullptr, bench.Encoder());
        CHECK(shared.ReadAll(0) == alone.ReadAll(0));
        CHECK(bench.device->encodes == (from == info.type ? 0 : 4));
        CHECK(bench.notes.empty());
      }
    }
  }
}

TEST_CASE("what a slot cannot take at once goes in parts; too long a row is the processor's") {
  Bench bench;
  const Outcome outcome = Quantize(bench);
  CHECK(outcome.bytes == outcome.wanted);
  CHECK(bench.device->encodes == 3);  // 16 rows of 256 at a time
  const MemoryTensor wide = Wave({8192, 2});
  const TypedSource shared(SourceOf(wide, Type::kF32), {Type::kQ8_0}, {}, nullptr, bench.Encoder());
  const TypedSource alone(SourceOf(wide, Type::kF32), {Type::kQ8_0});
  CHECK(shared.ReadAll(0) == alone.ReadAll(0));
  CHECK(bench.device->encodes == 3);
  CHECK(bench.notes.empty());
}

TEST_CASE("while a device starts the processor works alone, and then both do") {
  Bench bench;
  std::promise<void> start;
  bench.device->started = start.get_future().share();
  const auto encoder = bench.Starting();
  const MemoryTensor tensor = Wave({256, 40});
  const auto base = SourceOf(tensor, Type::kBF16);
  const TypedSource alone(base, {Type::kQ4_K});
  const TypedSource shared(base, {Type::kQ4_K}, {}, nullptr, encoder);
  const std::vector<std::byte> wanted = alone.ReadAll(0);
  CHECK(shared.ReadAll(0) == wanted);
  CHECK(bench.device->encodes == 0);
  start.set_value();
  encoder->WaitForSlots();
  for (int i = 0; i < 40 && bench.device->encodes == 0; ++i) CHECK(shared.ReadAll(0) == wanted);
  CHECK(bench.device->encodes > 0);
  CHECK(bench.notes.empty());
}

TEST_CASE("a device is started only where that pays, if it may choose") {
  constexpr ShareKey kKey{Type::kQ4_K, false};
  for (const int64_t left : {int64_t{1000}, int64_t{1} << 40}) {
    CAPTURE(left);
    Bench bench;
    const auto encoder = bench.Starting(2, DeviceEncoder::Start::kIfItPays);
    encoder->Expect(1000 + left);
    CHECK_FALSE(encoder->Take(kKey));
    encoder->EncodedHere(kKey, 1000, 1e-3);
    encoder->WaitForSlots();
    // What is left takes a microsecond each.
    CHECK(bench.device->queues == (left > 1000 ? 2 : 0));
    CHECK(encoder->Take(kKey).has_value() == (left > 1000));
    encoder->EncodedHere(kKey, 1000, 1e-3);
    encoder->WaitForSlots();
    CHECK(bench.device->queues == (left > 1000 ? 2 : 0));
  }
}

TEST_CASE("work that is none for a device does not start it") {
  Bench bench;
  const auto encoder = bench.Starting(2, DeviceEncoder::Start::kIfItPays);
  encoder->Expect(int64_t{1} << 40);
  const MemoryTensor tensor = Wave({256, 40});
  const TypedSource shared(SourceOf(tensor, Type::kF32), {Type::kBF16}, {}, nullptr, encoder);
  const TypedSource alone(SourceOf(tensor, Type::kF32), {Type::kBF16});
  CHECK(shared.ReadAll(0) == alone.ReadAll(0));
  encoder->WaitForSlots();
  CHECK(bench.device->queues == 0);
}

TEST_CASE("where the device's memory is short, slots become smaller, and the user hears of it") {
  Bench bench;
  bench.device->memory_left = SlotBytes(1 << 11) + 100;
  const Outcome outcome = Quantize(bench);
  CHECK(outcome.bytes == outcome.wanted);
  CHECK(bench.device->encodes == 5);  // 8 rows at a time
  REQUIRE(bench.notes.size() == 1);
  CHECK(bench.notes[0] == "fake: its memory is short, so it gets 2048 weights at a time");
  CHECK(bench.device->memory_left == SlotBytes(1 << 11) + 100);  // all is given back
}

TEST_CASE("where there is no memory at all, the processor does the work") {
  Bench bench;
  bench.device->memory_left = 1000;
  const Outcome outcome = Quantize(bench);
  CHECK(outcome.bytes == outcome.wanted);
  CHECK(bench.device->encodes == 0);
  REQUIRE(bench.notes.size() == 1);
  CHECK(bench.notes[0] == "fake: out of memory; the processor does the rest");
}

TEST_CASE("a launch that finds no memory is repeated with fewer rows") {
  for (const int at : {1, 2, 3}) {
    CAPTURE(at);
    Bench bench;
    bench.device->full_at = at;
    const Outcome outcome = Quantize(bench);
    CHECK(outcome.bytes == outcome.wanted);
    REQUIRE(bench.notes.size() == 1);
    CHECK(bench.notes[0] == "fake: its memory is short, so it gets 2048 weights at a time");
  }
}

TEST_CASE("a device that is lost is given up, and no row is lost with it") {
  for (const int at : {1, 2, 3}) {
    CAPTURE(at);
    Bench bench;
    bench.device->lost_at = at;
    const Outcome outcome = Quantize(bench);
    CHECK(outcome.bytes == outcome.wanted);
    CHECK(bench.device->encodes == at);
    REQUIRE(bench.notes.size() == 1);
    CHECK(bench.notes[0] == "fake: the device is lost; the processor does the rest");
  }
}

TEST_CASE("many threads share a device, healthy or lost on the way") {
  const MemoryTensor tensor = Wave({256, 640});
  const TypedSource alone(SourceOf(tensor, Type::kF32), {Type::kQ5_K});
  const std::vector<std::byte> wanted = alone.ReadAll(0);
  for (const int lost_at : {0, 7}) {
    CAPTURE(lost_at);
    Bench bench;
    bench.device->lost_at = lost_at;
    const TypedSource shared(SourceOf(tensor, Type::kF32), {Type::kQ5_K}, {}, nullptr,
                             bench.Encoder(3));
    std::vector<std::byte> got(wanted.size());
    const size_t part = got.size() / 64;  // ten rows
    std::atomic<int64_t> next = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t) {
      threads.emplace_back([&] {
        for (int64_t i; (i = next++) < 64;) {
          shared.ReadRows(0, 10 * i, 10,
                          std::span(got).subspan(static_cast<size_t>(i) * part, part));
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(got == wanted);
    CHECK(bench.notes.size() == (lost_at ? 1 : 0));
    CHECK(bench.device->encodes > 0);
  }
}

TEST_CASE("errors are those of the processor") {
  MemoryTensor tensor = Wave({32, 9});
  tensor.values[32 * 7 + 5] = std::numeric_limits<float>::infinity();
  Bench bench;
  const TypedSource infinite(SourceOf(tensor, Type::kF32), {Type::kQ8_0}, {}, nullptr,
                             bench.Encoder());
  CHECK_THROWS_WITH_AS(infinite.ReadAll(0), "memory.gguf: tensor 'w' has NaN or Inf at index 229",
                       Error);
  tensor.values[32 * 7 + 5] = 1e9F;
  const TypedSource large(SourceOf(tensor, Type::kF32), {Type::kQ8_0}, {}, nullptr,
                          bench.Encoder());
  CHECK_THROWS_WITH_AS(large.ReadAll(0), doctest::Contains("which q8_0 cannot hold"), Error);
}

class Recorder : public EncodeObserver {
 public:
  void Encoded(size_t, int64_t, std::span<const float> weights,
               std::span<const std::byte> encoded) override {
    weights_.insert(weights_.end(), weights.begin(), weights.end());
    bytes_.insert(bytes_.end(), encoded.begin(), encoded.end());
  }
  std::vector<float> weights_;
  std::vector<std::byte> bytes_;
};

TEST_CASE("an observer sees the weights that went to the device") {
  const MemoryTensor tensor = Wave({256, 40});
  Bench bench;
  Recorder seen;
  const TypedSource shared(SourceOf(tensor, Type::kF32), {Type::kQ8_0}, {}, &seen, bench.Encoder());
  CHECK(shared.ReadAll(0) == seen.bytes_);
  CHECK(seen.weights_ == tensor.values);
  CHECK(bench.device->encodes == 3);
}

}  // namespace
}  // namespace quern
