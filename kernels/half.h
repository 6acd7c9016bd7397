#pragma once

#include <bit>
#include <cstdint>

namespace quern {

// IEEE binary16 and bfloat16 as their 16 bits. To half: nearest, ties to even; a NaN becomes 0x7E00
// with its sign. To bfloat16: nearest, ties to even; a NaN keeps its upper bits and becomes quiet.

constexpr float Bf16ToFloat(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

constexpr uint16_t FloatToBf16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((bits >> 16) | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

constexpr float HalfToFloat(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16;
  const uint32_t magnitude = half & 0x7fff;
  uint32_t bits;
  if (magnitude < 0x400) {
    bits = std::bit_cast<uint32_t>(static_cast<float>(magnitude) * 0x1p-24f);
  } else if (magnitude < 0x7c00) {
    bits = (magnitude << 13) + (112u << 23);
  } else {
    bits = (magnitude << 13) | 0x7f800000u | (magnitude > 0x7c00 ? 0x400000u : 0u);
  }
  return std::bit_cast<float>(sign | bits);
}

constexpr uint16_t FloatToHalf(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (bits >> 16) & 0x8000;
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00);
  if (magnitude < 0x38800000u) {
    // The last bit of 0.5f is the smallest subnormal half, so the addition rounds to it.
    const float rounded = std::bit_cast<float>(magnitude) + 0.5f;
    return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(rounded) - 0x3f000000u));
  }
  const uint32_t rounded = magnitude + 0xfff + ((magnitude >> 13) & 1);
  const uint32_t half = rounded >= 0x47800000u ? 0x7c00 : (rounded - (112u << 23)) >> 13;
  return static_cast<uint16_t>(sign | half);
}

}  // namespace quern
