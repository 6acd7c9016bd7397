// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_Q4_K_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_Q4_K_INL_H_
#undef QUERN_KERNELS_FORMATS_Q4_K_INL_H_
#else
#define QUERN_KERNELS_FORMATS_Q4_K_INL_H_
#endif

#include <cstddef>

#include "kernels/formats/k_affine-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// x = d * scale[j] * q - dmin * min[j] for the eight sub-blocks j of 32 weights. Byte 32 * k + i of
// qs holds weight 64 * k + i in its lower and 64 * k + 32 + i in its upper nibble.
struct Q4_K {
  static constexpr Type kType = Type::kQ4_K;
  using Block = BlockQ4_K;
  static constexpr int kElems = 256;
  static constexpr bool kRowMean = false;

  template <class L>
  static QUERN_LANE void Encode(const Tile<L>& tile) {
    const auto pack = [](const uint8_t* codes, uint8_t* block) {
      uint8_t* qs = block + offsetof(Block, qs);
      for (int k = 0; k < 4; ++k) {
        JoinNibbles(codes + 64 * k, codes + 64 * k + 32, 32, qs + 32 * k);
      }
    };
    AffineSuperBlock<L, 15>(tile).Run({-1.0f, 0.1f, 20}, false, pack);
  }

  static QUERN_LANE void Decode(const Block& block, float* out) {
    const float d = HalfToFloat(block.d);
    const float dmin = HalfToFloat(block.dmin);
    for (int k = 0; k < 4; ++k) {
      float scale[2], min[2];
      UnpackScaleAndMin(block.scales, 2 * k, &scale[0], &min[0]);
      UnpackScaleAndMin(block.scales, 2 * k + 1, &scale[1], &min[1]);
      const float d0 = d * scale[0], m0 = dmin * min[0];
      const float d1 = d * scale[1], m1 = dmin * min[1];
      const uint8_t* qs = block.qs + 32 * k;
      for (int i = 0; i < 32; ++i) {
        out[64 * k + i] = d0 * static_cast<float>(qs[i] & 15) - m0;
        out[64 * k + 32 + i] = d1 * static_cast<float>(qs[i] >> 4) - m1;
      }
    }
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
