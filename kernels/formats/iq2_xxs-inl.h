// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_IQ2_XXS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_IQ2_XXS_INL_H_
#undef QUERN_KERNELS_FORMATS_IQ2_XXS_INL_H_
#else
#define QUERN_KERNELS_FORMATS_IQ2_XXS_INL_H_
#endif

#include "kernels/formats/grid_decode-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// Eight groups of 32 weights, a group is two words: four grid indices of 8 bits, then four times
// seven sign bits and a scale of four bits. x = d * (scale + 1/2) / 4 * grid weight.
struct IQ2_XXS {
  using Block = BlockIQ2_XXS;
  static constexpr int kElems = 256;

  static void Decode(const Block& block, float* out) {
    const float d = HalfToFloat(block.d);
    for (int group = 0; group < 8; ++group) {
      uint32_t words[2];
      std::memcpy(words, block.qs + 4 * group, sizeof(words));
      const float scale = d * (0.5f + static_cast<float>(words[1] >> 28)) * 0.25f;
      for (int k = 0; k < 4; ++k) {
        const unsigned signs = kEvenSigns[(words[1] >> (7 * k)) & 127];
        ExpandPoint(kIq2XxsGrid[(words[0] >> (8 * k)) & 255], signs, scale,
                    out + 32 * group + 8 * k);
      }
    }
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
