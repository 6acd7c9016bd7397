#include "quant/typed_source.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <mutex>

#include "base/error.h"
#include "base/parallel.h"
#include "kernels/codec.h"
#include "quant/finite.h"
#include "quant/non_finite.h"
#include "tests/support/memory_source.h"

namespace quern {
namespace {

using testing::MemorySource;
using testing::MemoryTensor;

MemoryTensor Ramp(const std::string& name, std::vector<int64_t> shape) {
  int64_t count = 1;
  for (const int64_t size : shape) count *= size;
  MemoryTensor tensor{name, std::move(shape), {}};
  for (int64_t i = 0; i < count; ++i) {
    tensor.values.push_back(std::sin(static_cast<float>(i) * 0.37F) * 0.1F);
  }
  return tensor;
}

std::shared_ptr<MemorySource> Source(std::vector<MemoryTensor> tensors) {
  return std::make_shared<MemorySource>("memory.gguf", std::move(tensors));
}

TEST_CASE("rows in any pieces are those of the encoder over the whole tensor") {
  const MemoryTensor tensor = Ramp("w", {256, 300});
  for (const Type type : {Type::kF16, Type::kBF16, Type::kQ8_0, Type::kQ4_K, Type::kQ4_0}) {
    CAPTURE(NameOf(type));
    const TypedSource typed(Source({tensor}), {type});
    std::vector<std::byte> wanted(static_cast<size_t>(typed.tensors()[0].bytes()));
    EncodeRows(type, tensor.values.data(), 300, 256, {}, wanted.data());
    CHECK(typed.ReadAll(0) == wanted);
    const auto row = static_cast<size_t>(typed.tensors()[0].row_bytes());
    for (const auto& [first, count] : {std::pair{0, 1}, {17, 3}, {299, 1}, {100, 170}, {5, 0}}) {
      std::vector<std::byte> piece(row * static_cast<size_t>(count));
      typed.ReadRows(0, first, count, piece);
      const auto from = wanted.begin() + static_cast<std::ptrdiff_t>(row) * first;
      CHECK(std::equal(piece.begin(), piece.end(), from));
    }
  }
}

TEST_CASE("a source may stand on a source of its kind: f32 -> bf16 -> q8_0 -> f32") {
  const MemoryTensor tensor = Ramp("w", {64, 50});
  const auto bf16 = std::make_shared<TypedSource>(Source({tensor}), std::vector{Type::kBF16});
  const auto q8_0 = std::make_shared<TypedSource>(bf16, std::vector{Type::kQ8_0});
  const TypedSource f32(q8_0, {Type::kF32});
  std::vector<float> rounded(tensor.values.size()), wanted(tensor.values.size());
  const auto bits = bf16->ReadAll(0);
  Decode(Type::kBF16, bits.data(), static_cast<int64_t>(rounded.size()), rounded.data());
  std::vector<std::byte> blocks(static_cast<size_t>(q8_0->tensors()[0].bytes()));
  EncodeRows(Type::kQ8_0, rounded.data(), 50, 64, {}, blocks.data());
  Decode(Type::kQ8_0, blocks.data(), static_cast<int64_t>(wanted.size()), wanted.data());
  const auto got = f32.ReadAll(0);
  CHECK(std::memcmp(got.data(), wanted.data(), got.size()) == 0);
}

TEST_CASE("each slice of a 3-D tensor is encoded with its own importance weights") {
  const MemoryTensor tensor = Ramp("experts", {256, 5, 3});
  std::vector<float> importance(256 * 3);
  for (size_t i = 0; i < importance.size(); ++i) importance[i] = static_cast<float>(i % 91) + 0.5F;
  const TypedSource typed(Source({tensor}), {Type::kQ4_K}, {importance});
  std::vector<std::byte> wanted(static_cast<size_t>(typed.tensors()[0].bytes()));
  const size_t slice = wanted.size() / 3;
  for (size_t e = 0; e < 3; ++e) {
    EncodeRows(Type::kQ4_K, tensor.values.data() + e * 256 * 5, 5, 256,
               std::span(importance).subspan(e * 256, 256), wanted.data() + e * slice);
  }
  CHECK(typed.ReadAll(0) == wanted);
  const auto row = static_cast<size_t>(typed.tensors()[0].row_bytes());
  std::vector<std::byte> piece(row * 7);
  typed.ReadRows(0, 4, 7, piece);  // the end of the first slice to the first row of the third
  CHECK(std::memcmp(piece.data(), wanted.data() + row * 4, piece.size()) == 0);
}

TEST_CASE("NaN and Inf are named, in what is encoded and in what is copied") {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
        -std::numeric_limits<float>::infinity()}) {
    for (const Type type : {Type::kF32, Type::kF16, Type::kQ8_0}) {
      MemoryTensor tensor = Ramp("w", {32, 9});
      tensor.values[32 * 7 + 5] = bad;
      const TypedSource typed(Source({Ramp("v", {32}), tensor}), {Type::kF32, type});
      try {
        typed.ReadAll(1);
        FAIL("it should have thrown");
      } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::kNonFinite);
        CHECK(std::string(error.what()) == "memory.gguf: tensor 'w' has NaN or Inf at index 229");
      }
      CHECK_NOTHROW(typed.ReadAll(0));
    }
  }
}

TEST_CASE("a weight that the new type cannot hold is an error, not an Inf") {
  MemoryTensor tensor = Ramp("w", {32, 2});
  tensor.values[40] = 1e6F;
  CHECK_THROWS_WITH_AS(TypedSource(Source({tensor}), {Type::kF16}).ReadAll(0),
                       doctest::Contains("'w' has 1000000 at index 40, which f16 cannot hold"),
                       Error);
  CHECK_NOTHROW(TypedSource(Source({tensor}), {Type::kBF16}).ReadAll(0));
  CHECK_NOTHROW(TypedSource(Source({tensor}), {Type::kQ8_0}).ReadAll(0));
  tensor.values[40] = 1e9F;  // the scale of a block of q8_0 is float16
  CHECK_THROWS_AS(TypedSource(Source({tensor}), {Type::kQ8_0}).ReadAll(0), Error);
}

TEST_CASE("importance weights that make a scale infinite are an error") {
  MemoryTensor tensor = Ramp("w", {256, 2});
  std::fill(tensor.values.begin(), tensor.values.end(), -3.0F);
  const auto quantized = [&](float importance) {
    const Importance all = {std::vector<float>(256, importance)};
    return TypedSource(Source({tensor}), {Type::kIQ2_XXS}, all).ReadAll(0);
  };
  CHECK_NOTHROW(quantized(1.0F));
  CHECK_NOTHROW(quantized(1e30F));
  CHECK_THROWS_WITH_AS(quantized(1e37F),
                       doctest::Contains("which iq2_xxs cannot hold with importance weights"),
                       Error);
}

TEST_CASE("what cannot be made is refused before a row is read") {
  CHECK_THROWS_WITH_AS(TypedSource(Source({Ramp("w", {100, 2})}), {Type::kQ8_0}),
                       doctest::Contains("a row has 100 weights, blocks of 32"), Error);
  CHECK_THROWS_WITH_AS(TypedSource(Source({Ramp("w", {32, 2})}), {Type::kI32}),
                       doctest::Contains("'w' cannot go from f32 to i32"), Error);
}

class Recorder : public EncodeObserver {
 public:
  void Encoded(size_t tensor, int64_t, std::span<const float> weights,
               std::span<const std::byte> encoded) override {
    std::lock_guard lock(mutex_);
    if (tensor == 1)
      weights_ += weights.size(), bytes_ += encoded.size();
    else
      other_ = true;
  }
  size_t weights_ = 0, bytes_ = 0;
  bool other_ = false;

 private:
  std::mutex mutex_;
};

TEST_CASE("an observer sees every weight that is encoded, and no copy") {
  Recorder seen;
  const TypedSource typed(Source({Ramp("norm", {32}), Ramp("w", {32, 3000})}),
                          {Type::kF32, Type::kQ8_0}, {}, &seen);
  typed.ReadAll(0);
  typed.ReadAll(1);
  CHECK(seen.weights_ == 96000);
  CHECK(seen.bytes_ == 102000);
  CHECK_FALSE(seen.other_);
}

TEST_CASE("the first NaN or Inf is found at any place, in every type that holds floats") {
  for (const size_t size : {1, 7, 8, 9, 31, 32, 33, 257}) {
    for (const size_t at : {size_t{0}, size / 2, size - 1}) {
      std::vector<float> values(size, 1.5F);
      CHECK_FALSE(ScanFinite(values).first_non_finite);
      CHECK(ScanFinite(values).largest == 1.5F);
      values[at] = -INFINITY;
      values[size - 1] = NAN;
      CHECK(ScanFinite(values).first_non_finite == static_cast<int64_t>(at));
      std::vector<std::byte> halves(size * 2);
      EncodeRows(Type::kBF16, values.data(), 1, static_cast<int64_t>(size), {}, halves.data());
      CHECK(FirstNonFinite(Type::kBF16, halves, static_cast<int64_t>(size)) ==
            static_cast<int64_t>(at));
    }
  }
  std::vector<std::byte> blocks(34 * 100, std::byte{});
  CHECK_FALSE(FirstNonFinite(Type::kQ8_0, blocks, 3200));
  blocks[34 * 70 + 1] = std::byte{0x7C};  // the scale of block 70 is Inf, and Inf times 0 is NaN
  CHECK(FirstNonFinite(Type::kQ8_0, blocks, 3200) == 70 * 32);
  const std::vector<std::byte> integers(8, std::byte{0xFF});
  CHECK_FALSE(FirstNonFinite(Type::kI32, integers, 2));
}

TEST_CASE("all tensors with NaN or Inf are found, each with its first") {
  MemoryTensor a = Ramp("a", {64, 5000}), b = Ramp("b", {64, 5000}), c = Ramp("c", {64, 5000});
  a.values[319999] = a.values[200000] = NAN;
  c.values[0] = INFINITY;
  NoProgress quiet;
  const auto found = FindNonFinite(*Source({a, b, c}), quiet);
  REQUIRE(found.size() == 2);
  CHECK(found[0].tensor == 0);
  CHECK(found[0].index == 200000);
  CHECK(found[1].tensor == 2);
  CHECK(found[1].index == 0);
}

}  // namespace
}  // namespace quern
