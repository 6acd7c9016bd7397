#include <doctest/doctest.h>

#include <bit>
#include <limits>
#include <random>
#include <span>
#include <vector>

#include "kernels/codec.h"
#include "kernels/codec_targets.h"

// Every code point of every type: random bytes as a hostile file has them, decoded on every target.
namespace quern {
namespace {

std::vector<std::byte> RandomBytes(size_t count) {
  std::mt19937_64 random(1);
  std::vector<std::byte> bytes(count);
  for (std::byte& b : bytes) b = static_cast<std::byte>(random() >> 56);
  return bytes;
}

}  // namespace

TEST_CASE("every quantized type decodes any bytes, and alike on every target") {
  int types = 0;
  for (const TypeInfo& info : kTypes) {
    if (!IsQuantized(info.type) || !CanDecode(info.type)) continue;
    ++types;
    CAPTURE(info.name);
    constexpr int64_t kBlocks = 200;
    const std::vector<std::byte> bytes = RandomBytes(static_cast<size_t>(kBlocks * info.bytes));
    std::vector<uint32_t> expected;
    for (const std::string& target : CodecTargets()) {
      CAPTURE(target);
      REQUIRE(UseCodecTarget(target));
      std::vector<float> weights(static_cast<size_t>(kBlocks * info.elems));
      Decode(info.type, bytes.data(), std::ssize(weights), weights.data());
      std::vector<uint32_t> bits(weights.size());
      for (size_t i = 0; i < weights.size(); ++i) {
        // Which NaN comes out of several is not told.
        bits[i] = weights[i] != weights[i] ? 0x7fc00000u : std::bit_cast<uint32_t>(weights[i]);
      }
      if (expected.empty()) expected = bits;
      CHECK((bits == expected));
    }
  }
  CHECK(types == 25);
  UseCodecTarget("");
}

TEST_CASE("f64 and f32 decode to the nearest float") {
  const double in[] = {1.0, -0.1, 1e300, 1e-300};
  float out[4];
  Decode(Type::kF64, std::as_bytes(std::span(in)).data(), 4, out);
  CHECK(out[0] == 1.0f);
  CHECK(out[1] == -0.1f);
  CHECK(out[2] == std::numeric_limits<float>::infinity());
  CHECK(out[3] == 0.0f);
}

}  // namespace quern
