#include "kernels/half.h"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "kernels/codec.h"
#include "kernels/targets.h"

namespace quern {
namespace {

std::vector<uint16_t> AllHalves() {
  std::vector<uint16_t> halves(65536);
  for (size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<uint16_t>(i);
  return halves;
}

uint32_t Bits(float value) { return std::bit_cast<uint32_t>(value); }

}  // namespace

TEST_CASE("a half has the value that IEEE gives it") {
  CHECK(HalfToFloat(0x3c00) == 1.0f);
  CHECK(HalfToFloat(0xc000) == -2.0f);
  CHECK(HalfToFloat(0x7bff) == 65504.0f);
  CHECK(HalfToFloat(0x0001) == 0x1p-24f);
  CHECK(HalfToFloat(0x0400) == 0x1p-14f);
  CHECK(HalfToFloat(0x7c00) == std::numeric_limits<float>::infinity());
  CHECK(Bits(HalfToFloat(0x8000)) == 0x80000000u);
  CHECK(std::isnan(HalfToFloat(0x7c01)));
}

TEST_CASE("to half rounds to nearest, ties to even") {
  CHECK(FloatToHalf(1.0f + 0x1p-11f) == 0x3c00);
  CHECK(FloatToHalf(1.0f + 0x3p-11f) == 0x3c02);
  CHECK(FloatToHalf(65519.0f) == 0x7bff);
  CHECK(FloatToHalf(65520.0f) == 0x7c00);
  CHECK(FloatToHalf(0x1p-25f) == 0);
  CHECK(FloatToHalf(0x1.8p-25f) == 1);
  CHECK(FloatToHalf(-0x1p-14f) == 0x8400);
  CHECK(FloatToHalf(-std::nanf("")) == 0xfe00);
  for (const uint16_t half : AllHalves()) {
    const float value = HalfToFloat(half);
    if (!std::isnan(value)) CHECK(FloatToHalf(value) == half);
  }
}

TEST_CASE("to bfloat16 rounds to nearest, ties to even") {
  CHECK(FloatToBf16(1.0f + 0x1p-8f) == 0x3f80);
  CHECK(FloatToBf16(1.0f + 0x3p-8f) == 0x3f82);
  CHECK(FloatToBf16(std::numeric_limits<float>::max()) == 0x7f80);
  CHECK(FloatToBf16(std::bit_cast<float>(0x7f800001u)) == 0x7fc0);
}

TEST_CASE("the lanes convert as the scalar functions do") {
  const std::vector<uint16_t> halves = AllHalves();
  std::vector<float> bf16_and_odd;
  for (const uint16_t upper : halves) {
    for (const uint32_t lower : {0u, 0x1000u, 0x7fffu, 0x8000u, 0x8001u}) {
      bf16_and_odd.push_back(std::bit_cast<float>(uint32_t{upper} << 16 | lower));
    }
  }
  const auto count = std::ssize(bf16_and_odd);
  for (const std::string& target : KernelTargets()) {
    CAPTURE(target);
    REQUIRE(UseKernelTarget(target));
    std::vector<float> floats(halves.size());
    Decode(Type::kF16, std::as_bytes(std::span(halves)).data(), std::ssize(halves), floats.data());
    std::vector<uint16_t> f16(bf16_and_odd.size()), bf16(bf16_and_odd.size());
    EncodeRows(Type::kF16, bf16_and_odd.data(), 1, count, {},
               std::as_writable_bytes(std::span(f16)).data());
    EncodeRows(Type::kBF16, bf16_and_odd.data(), 1, count, {},
               std::as_writable_bytes(std::span(bf16)).data());
    size_t wrong = 0;
    for (size_t i = 0; i < halves.size(); ++i)
      wrong += Bits(floats[i]) != Bits(HalfToFloat(halves[i]));
    for (size_t i = 0; i < f16.size(); ++i) {
      wrong += f16[i] != FloatToHalf(bf16_and_odd[i]);
      wrong += bf16[i] != FloatToBf16(bf16_and_odd[i]);
    }
    CHECK(wrong == 0);
  }
  UseKernelTarget("");
}

}  // namespace quern
