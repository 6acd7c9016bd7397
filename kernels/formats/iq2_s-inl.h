// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_IQ2_S_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_IQ2_S_INL_H_
#undef QUERN_KERNELS_FORMATS_IQ2_S_INL_H_
#else
#define QUERN_KERNELS_FORMATS_IQ2_S_INL_H_
#endif

#include "kernels/formats/grid_decode-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// 32 times eight weights: ten bits of grid index, of which qh has the upper two, and eight signs. A
// scale of four bits serves 16 weights. x = d * (scale + 1/2) / 4 * grid weight.
struct IQ2_S {
  using Block = BlockIQ2_S;
  static constexpr int kElems = 256;

  static void Decode(const Block& block, float* out) {
    const float d = HalfToFloat(block.d);
    for (int k = 0; k < 32; ++k) {
      const int code = (block.scales[k / 4] >> (k / 2 % 2 * 4)) & 15;
      const float scale = d * (0.5f + static_cast<float>(code)) * 0.25f;
      const unsigned index = block.qs[k] | ((block.qh[k / 4] >> (k % 4 * 2)) & 3u) << 8;
      ExpandPoint(kIq2SGrid[index], block.qs[32 + k], scale, out + 8 * k);
    }
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
