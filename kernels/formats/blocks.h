#pragma once

#include <cstdint>

#include "gguf/types.h"

// The bytes of every quantized type (ggml-common.h, August 2026), for the codecs, the dot products
// of kernels/ops/ and the GPU alike. All are little-endian; a half is its 16 bits. The arrays hold
// codes in the order that the type's Decode in <type>-inl.h tells.

namespace quern {

struct BlockQ4_0 {
  uint16_t d;
  uint8_t qs[16];
};
struct BlockQ4_1 {
  uint16_t d;
  uint16_t m;
  uint8_t qs[16];
};
struct BlockQ5_0 {
  uint16_t d;
  uint8_t qh[4];
  uint8_t qs[16];
};
struct BlockQ5_1 {
  uint16_t d;
  uint16_t m;
  uint8_t qh[4];
  uint8_t qs[16];
};
struct BlockQ8_0 {
  uint16_t d;
  int8_t qs[32];
};
// Only for products: s is d times the sum of qs.
struct BlockQ8_1 {
  uint16_t d;
  uint16_t s;
  int8_t qs[32];
};
struct BlockQ2_K {
  uint8_t scales[16];  // low nibble: scale, high nibble: minimum, of 16 weights each
  uint8_t qs[64];
  uint16_t d;
  uint16_t dmin;
};
struct BlockQ3_K {
  uint8_t hmask[32];
  uint8_t qs[64];
  uint8_t scales[12];  // sixteen 6-bit scales
  uint16_t d;
};
struct BlockQ4_K {
  uint16_t d;
  uint16_t dmin;
  uint8_t scales[12];  // eight 6-bit scales and eight 6-bit minima
  uint8_t qs[128];
};
struct BlockQ5_K {
  uint16_t d;
  uint16_t dmin;
  uint8_t scales[12];  // as in BlockQ4_K
  uint8_t qh[32];
  uint8_t qs[128];
};
struct BlockQ6_K {
  uint8_t ql[128];
  uint8_t qh[64];
  int8_t scales[16];
  uint16_t d;
};
// Only for products: bsums are the sums of 16 codes each.
struct BlockQ8_K {
  float d;
  int8_t qs[256];
  int16_t bsums[16];
};
struct BlockIQ2_XXS {
  uint16_t d;
  uint16_t qs[32];
};
struct BlockIQ2_XS {
  uint16_t d;
  uint16_t qs[32];
  uint8_t scales[8];
};
struct BlockIQ2_S {
  uint16_t d;
  uint8_t qs[64];  // 32 indices, then 32 bytes of signs
  uint8_t qh[8];
  uint8_t scales[8];
};
struct BlockIQ3_XXS {
  uint16_t d;
  uint8_t qs[96];  // 64 indices, then 8 words of scale and signs
};
struct BlockIQ3_S {
  uint16_t d;
  uint8_t qs[64];
  uint8_t qh[8];
  uint8_t signs[32];
  uint8_t scales[4];
};
struct BlockIQ1_S {
  uint16_t d;
  uint8_t qs[32];
  uint16_t qh[8];
};
struct BlockIQ1_M {
  uint8_t qs[32];
  uint8_t qh[16];
  uint8_t scales[8];  // sixteen 3-bit scales, and in the top four bits of each u16 a part of d
};
struct BlockIQ4_NL {
  uint16_t d;
  uint8_t qs[16];
};
struct BlockIQ4_XS {
  uint16_t d;
  uint16_t scales_h;
  uint8_t scales_l[4];
  uint8_t qs[128];
};
struct BlockTQ1_0 {
  uint8_t qs[48];  // five trits a byte
  uint8_t qh[4];   // four trits a byte
  uint16_t d;
};
struct BlockTQ2_0 {
  uint8_t qs[64];
  uint16_t d;
};
struct BlockMXFP4 {
  uint8_t e;
  uint8_t qs[16];
};
struct BlockNVFP4 {
  uint8_t d[4];
  uint8_t qs[32];
};
struct BlockQ1_0 {
  uint16_t d;
  uint8_t qs[16];
};
struct BlockQ2_0 {
  uint16_t d;
  uint8_t qs[16];
};

// The blocks above agree with the list of types.
#define QUERN_BLOCK_SIZE_IS_LISTED(name, text, id, elems, bytes)          \
  static_assert(elems == 1 || sizeof(QUERN_BLOCK_OR_BYTE(name)) == bytes, \
                "Block" #name " differs from the list of types");
#define QUERN_BLOCK_OR_BYTE(name) Block##name
using BlockF32 = uint32_t;
using BlockF16 = uint16_t;
using BlockBF16 = uint16_t;
using BlockF64 = uint64_t;
using BlockI8 = uint8_t;
using BlockI16 = uint16_t;
using BlockI32 = uint32_t;
using BlockI64 = uint64_t;
QUERN_TYPES(QUERN_BLOCK_SIZE_IS_LISTED)
#undef QUERN_BLOCK_SIZE_IS_LISTED
#undef QUERN_BLOCK_OR_BYTE

}  // namespace quern
