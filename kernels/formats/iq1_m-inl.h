// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_IQ1_M_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_IQ1_M_INL_H_
#undef QUERN_KERNELS_FORMATS_IQ1_M_INL_H_
#else
#define QUERN_KERNELS_FORMATS_IQ1_M_INL_H_
#endif

#include "kernels/formats/grid_decode-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// 32 times eight weights: eleven bits of grid index, of which a nibble of qh has the upper three,
// and in it the sign of the delta. A scale of three bits serves 16 weights; the four u16 of scales
// have four of them each, and in the top bits a nibble of d, the first the lowest. x = d * (2 *
// scale + 1) * (trit +- 1/8).
struct IQ1_M {
  using Block = BlockIQ1_M;
  static constexpr int kElems = 256;

  static void Decode(const Block& block, float* out) {
    uint16_t scales[4];
    std::memcpy(scales, block.scales, sizeof(scales));
    unsigned half = 0;
    for (int i = 0; i < 4; ++i) half |= static_cast<unsigned>(scales[i] >> 12) << (4 * i);
    const float d = HalfToFloat(static_cast<uint16_t>(half));
    for (int k = 0; k < 32; ++k) {
      const int code = (scales[k / 8] >> (k / 2 % 4 * 3)) & 7;
      const float scale = d * static_cast<float>(2 * code + 1);
      const unsigned high = (block.qh[k / 2] >> (k % 2 * 4)) & 15;
      const unsigned index = block.qs[k] | (high & 7) << 8;
      ExpandTrits(kIq1Grid[index], high & 8 ? -kIq1Delta : kIq1Delta, scale, out + 8 * k);
    }
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
