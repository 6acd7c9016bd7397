// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_IQ3_S_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_IQ3_S_INL_H_
#undef QUERN_KERNELS_FORMATS_IQ3_S_INL_H_
#else
#define QUERN_KERNELS_FORMATS_IQ3_S_INL_H_
#endif

#include "kernels/formats/grid_decode-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// 64 times four weights: nine bits of grid index, of which qh has the highest, and a bit per sign.
// A scale of four bits serves 32 weights. x = d * (2 * scale + 1) * grid weight.
struct IQ3_S {
  using Block = BlockIQ3_S;
  static constexpr int kElems = 256;

  static void Decode(const Block& block, float* out) {
    const float d = HalfToFloat(block.d);
    for (int k = 0; k < 64; ++k) {
      const int code = (block.scales[k / 16] >> (k / 8 % 2 * 4)) & 15;
      const float scale = d * static_cast<float>(1 + 2 * code);
      const unsigned index = block.qs[k] | ((block.qh[k / 8] >> (k % 8)) & 1u) << 8;
      const unsigned signs = block.signs[k / 2] >> (k % 2 * 4);
      ExpandPoint(kIq3SGrid[index], signs, scale, out + 4 * k);
    }
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
