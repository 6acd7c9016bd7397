// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_IQ3_XXS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_IQ3_XXS_INL_H_
#undef QUERN_KERNELS_FORMATS_IQ3_XXS_INL_H_
#else
#define QUERN_KERNELS_FORMATS_IQ3_XXS_INL_H_
#endif

#include "kernels/formats/grid_decode-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// 64 times four weights: a grid index of eight bits. Behind the indices a word for each 32 weights:
// four times seven sign bits, and a scale of four bits. x = d * (scale + 1/2) / 2 * grid weight.
struct IQ3_XXS {
  using Block = BlockIQ3_XXS;
  static constexpr int kElems = 256;

  static void Decode(const Block& block, float* out) {
    const float d = HalfToFloat(block.d);
    for (int group = 0; group < 8; ++group) {
      uint32_t word;
      std::memcpy(&word, block.qs + 64 + 4 * group, sizeof(word));
      const float scale = d * (0.5f + static_cast<float>(word >> 28)) * 0.5f;
      for (int k = 0; k < 8; ++k) {
        const unsigned signs = kEvenSigns[(word >> (7 * (k / 2))) & 127] >> (k % 2 * 4);
        ExpandPoint(kIq3XxsGrid[block.qs[8 * group + k]], signs, scale, out + 32 * group + 4 * k);
      }
    }
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
