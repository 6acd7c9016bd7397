#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/formats/blocks.h"
#include "kernels/formats/grids.h"
#include "kernels/half.h"

// Weights as small integers, for products with activations of 8 bits: of each group of weights
//   weight = scale * (code - bias) - minimum,
// where codes are 0..255. Codes<Block> tells a type's numbers and unpacks a run of blocks, at most
// kRun weights of a row. A type without one is multiplied in float32.
//
// The functions are marked with the instruction set of the file that includes this, so that the
// compiler's vectors are that wide.
#ifndef QUERN_CODES_TARGET
#define QUERN_CODES_TARGET
#endif

namespace quern {

// Weights that are unpacked at a time: the block of the k types, eight blocks of the older ones.
inline constexpr int kRun = 256;
// The shortest group of any type, hence the most scales of a run.
inline constexpr int kLeastGroup = 16;
inline constexpr int kRunGroups = kRun / kLeastGroup;

template <class Block>
struct Codes;

// What the types with one scale per block of 32 share. Activations have a scale per 32, too.
struct CodesOf32 {
  static constexpr int kBlock = 32, kGroup = 32;
  static constexpr bool kMinima = false, kScalePer32 = true;
};
// What the types with blocks of 256 share. Activations have a scale per 256, as llama.cpp's have.
struct CodesOf256 {
  static constexpr int kBlock = 256, kGroup = 32;
  static constexpr bool kMinima = false, kScalePer32 = false;
};

template <>
struct Codes<BlockQ4_0> : CodesOf32 {
  static constexpr int kBias = 8;
  QUERN_CODES_TARGET static void Unpack(const BlockQ4_0* b, int blocks, uint8_t* codes,
                                        float* scales, float*) {
    for (int i = 0; i < blocks; ++i) {
      scales[i] = HalfToFloat(b[i].d);
      for (int l = 0; l < 16; ++l) codes[32 * i + l] = b[i].qs[l] & 15;
      for (int l = 0; l < 16; ++l) codes[32 * i + 16 + l] = b[i].qs[l] >> 4;
    }
  }
};

template <>
struct Codes<BlockQ4_1> : CodesOf32 {
  static constexpr int kBias = 0;
  static constexpr bool kMinima = true;
  QUERN_CODES_TARGET static void Unpack(const BlockQ4_1* b, int blocks, uint8_t* codes,
                                        float* scales, float* minima) {
    for (int i = 0; i < blocks; ++i) {
      scales[i] = HalfToFloat(b[i].d);
      minima[i] = -HalfToFloat(b[i].m);
      for (int l = 0; l < 16; ++l) codes[32 * i + l] = b[i].qs[l] & 15;
      for (int l = 0; l < 16; ++l) codes[32 * i + 16 + l] = b[i].qs[l] >> 4;
    }
  }
};

// The fifth bits of 32 weights, as 0 or 16 in their codes.
QUERN_CODES_TARGET inline void UnpackFives(const uint8_t* qs, const uint8_t* qh, uint8_t* codes) {
  uint32_t high;
  std::memcpy(&high, qh, sizeof(high));
  for (int l = 0; l < 16; ++l) {
    codes[l] = static_cast<uint8_t>((qs[l] & 15) | ((high >> l) & 1) << 4);
    codes[16 + l] = static_cast<uint8_t>((qs[l] >> 4) | ((high >> (16 + l)) & 1) << 4);
  }
}

template <>
struct Codes<BlockQ5_0> : CodesOf32 {
  static constexpr int kBias = 16;
  QUERN_CODES_TARGET static void Unpack(const BlockQ5_0* b, int blocks, uint8_t* codes,
                                        float* scales, float*) {
    for (int i = 0; i < blocks; ++i) {
      scales[i] = HalfToFloat(b[i].d);
      UnpackFives(b[i].qs, b[i].qh, codes + 32 * i);
    }
  }
};

template <>
struct Codes<BlockQ5_1> : CodesOf32 {
  static constexpr int kBias = 0;
  static constexpr bool kMinima = true;
  QUERN_CODES_TARGET static void Unpack(const BlockQ5_1* b, int blocks, uint8_t* codes,
                                        float* scales, float* minima) {
    for (int i = 0; i < blocks; ++i) {
      scales[i] = HalfToFloat(b[i].d);
      minima[i] = -HalfToFloat(b[i].m);
      UnpackFives(b[i].qs, b[i].qh, codes + 32 * i);
    }
  }
};

template <>
struct Codes<BlockQ8_0> : CodesOf32 {
  static constexpr int kBias = 128;
  QUERN_CODES_TARGET static void Unpack(const BlockQ8_0* b, int blocks, uint8_t* codes,
                                        float* scales, float*) {
    for (int i = 0; i < blocks; ++i) {
      scales[i] = HalfToFloat(b[i].d);
      for (int l = 0; l < 32; ++l) codes[32 * i + l] = static_cast<uint8_t>(b[i].qs[l] ^ 0x80);
    }
  }
};

template <>
struct Codes<BlockQ2_K> : CodesOf256 {
  static constexpr int kBias = 0, kGroup = 16;
  static constexpr bool kMinima = true;
  QUERN_CODES_TARGET static void Unpack(const BlockQ2_K* b, int, uint8_t* codes, float* scales,
                                        float* minima) {
    const float d = HalfToFloat(b->d), dmin = HalfToFloat(b->dmin);
    for (int i = 0; i < 16; ++i) {
      scales[i] = d * static_cast<float>(b->scales[i] & 15);
      minima[i] = dmin * static_cast<float>(b->scales[i] >> 4);
    }
    for (int n = 0; n < 2; ++n) {
      for (int j = 0; j < 4; ++j) {
        for (int l = 0; l < 32; ++l) {
          codes[128 * n + 32 * j + l] = (b->qs[32 * n + l] >> (2 * j)) & 3;
        }
      }
    }
  }
};

template <>
struct Codes<BlockQ3_K> : CodesOf256 {
  static constexpr int kBias = 4, kGroup = 16;
  QUERN_CODES_TARGET static void Unpack(const BlockQ3_K* b, int, uint8_t* codes, float* scales,
                                        float*) {
    const float d = HalfToFloat(b->d);
    for (int i = 0; i < 16; ++i) {
      const int low = i < 8 ? b->scales[i] & 15 : b->scales[i - 8] >> 4;
      const int high = (b->scales[8 + i % 4] >> (i / 4 * 2)) & 3;
      scales[i] = d * static_cast<float>((low | high << 4) - 32);
    }
    for (int n = 0; n < 2; ++n) {
      for (int j = 0; j < 4; ++j) {
        for (int l = 0; l < 32; ++l) {
          codes[128 * n + 32 * j + l] = static_cast<uint8_t>(
              ((b->qs[32 * n + l] >> (2 * j)) & 3) | ((b->hmask[l] >> (4 * n + j)) & 1) << 2);
        }
      }
    }
  }
};

// Eight scales and eight minima of 6 bits, as floats.
QUERN_CODES_TARGET inline void UnpackSixes(const uint8_t* packed, float d, float dmin,
                                           float* scales, float* minima) {
  uint32_t words[3];
  std::memcpy(words, packed, sizeof(words));
  const uint32_t parts[4] = {
      words[0] & 0x3f3f3f3f, (words[2] & 0x0f0f0f0f) | ((words[0] >> 6) & 0x03030303) << 4,
      words[1] & 0x3f3f3f3f, ((words[2] >> 4) & 0x0f0f0f0f) | ((words[1] >> 6) & 0x03030303) << 4};
  uint8_t bytes[16];
  std::memcpy(bytes, parts, sizeof(bytes));
  for (int i = 0; i < 8; ++i) scales[i] = d * static_cast<float>(bytes[i]);
  for (int i = 0; i < 8; ++i) minima[i] = dmin * static_cast<float>(bytes[8 + i]);
}

template <>
struct Codes<BlockQ4_K> : CodesOf256 {
  static constexpr int kBias = 0;
  static constexpr bool kMinima = true;
  QUERN_CODES_TARGET static void Unpack(const BlockQ4_K* b, int, uint8_t* codes, float* scales,
                                        float* minima) {
    UnpackSixes(b->scales, HalfToFloat(b->d), HalfToFloat(b->dmin), scales, minima);
    for (int j = 0; j < 4; ++j) {
      for (int l = 0; l < 32; ++l) codes[64 * j + l] = b->qs[32 * j + l] & 15;
      for (int l = 0; l < 32; ++l) codes[64 * j + 32 + l] = b->qs[32 * j + l] >> 4;
    }
  }
};

template <>
struct Codes<BlockQ5_K> : CodesOf256 {
  static constexpr int kBias = 0;
  static constexpr bool kMinima = true;
  QUERN_CODES_TARGET static void Unpack(const BlockQ5_K* b, int, uint8_t* codes, float* scales,
                                        float* minima) {
    UnpackSixes(b->scales, HalfToFloat(b->d), HalfToFloat(b->dmin), scales, minima);
    for (int j = 0; j < 4; ++j) {
      for (int l = 0; l < 32; ++l) {
        codes[64 * j + l] =
            static_cast<uint8_t>((b->qs[32 * j + l] & 15) | ((b->qh[l] >> (2 * j)) & 1) << 4);
      }
      for (int l = 0; l < 32; ++l) {
        codes[64 * j + 32 + l] =
            static_cast<uint8_t>((b->qs[32 * j + l] >> 4) | ((b->qh[l] >> (2 * j + 1)) & 1) << 4);
      }
    }
  }
};

template <>
struct Codes<BlockQ6_K> : CodesOf256 {
  static constexpr int kBias = 32, kGroup = 16;
  QUERN_CODES_TARGET static void Unpack(const BlockQ6_K* b, int, uint8_t* codes, float* scales,
                                        float*) {
    const float d = HalfToFloat(b->d);
    for (int i = 0; i < 16; ++i) scales[i] = d * static_cast<float>(b->scales[i]);
    for (int n = 0; n < 2; ++n) {
      const uint8_t *low = b->ql + 64 * n, *high = b->qh + 32 * n;
      uint8_t* to = codes + 128 * n;
      for (int l = 0; l < 32; ++l) to[l] = static_cast<uint8_t>((low[l] & 15) | (high[l] & 3) << 4);
      for (int l = 0; l < 32; ++l) {
        to[32 + l] = static_cast<uint8_t>((low[32 + l] & 15) | ((high[l] >> 2) & 3) << 4);
      }
      for (int l = 0; l < 32; ++l) {
        to[64 + l] = static_cast<uint8_t>((low[l] >> 4) | ((high[l] >> 4) & 3) << 4);
      }
      for (int l = 0; l < 32; ++l) {
        to[96 + l] = static_cast<uint8_t>((low[32 + l] >> 4) | (high[l] >> 6) << 4);
      }
    }
  }
};

// The sixteen values of iq4_nl and iq4_xs, biased.
QUERN_CODES_TARGET inline uint8_t Iq4Code(int index) {
  return static_cast<uint8_t>(kIq4Weights[static_cast<size_t>(index)] + 128);
}

template <>
struct Codes<BlockIQ4_NL> : CodesOf32 {
  static constexpr int kBias = 128;
  QUERN_CODES_TARGET static void Unpack(const BlockIQ4_NL* b, int blocks, uint8_t* codes,
                                        float* scales, float*) {
    for (int i = 0; i < blocks; ++i) {
      scales[i] = HalfToFloat(b[i].d);
      for (int l = 0; l < 16; ++l) codes[32 * i + l] = Iq4Code(b[i].qs[l] & 15);
      for (int l = 0; l < 16; ++l) codes[32 * i + 16 + l] = Iq4Code(b[i].qs[l] >> 4);
    }
  }
};

template <>
struct Codes<BlockIQ4_XS> : CodesOf256 {
  static constexpr int kBias = 128;
  QUERN_CODES_TARGET static void Unpack(const BlockIQ4_XS* b, int, uint8_t* codes, float* scales,
                                        float*) {
    const float d = HalfToFloat(b->d);
    for (int i = 0; i < 8; ++i) {
      const int low = (b->scales_l[i / 2] >> (4 * (i % 2))) & 15;
      const int high = (b->scales_h >> (2 * i)) & 3;
      scales[i] = d * static_cast<float>((low | high << 4) - 32);
      const uint8_t* qs = b->qs + 16 * i;
      for (int l = 0; l < 16; ++l) codes[32 * i + l] = Iq4Code(qs[l] & 15);
      for (int l = 0; l < 16; ++l) codes[32 * i + 16 + l] = Iq4Code(qs[l] >> 4);
    }
  }
};

}  // namespace quern
