// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_IQ1_S_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_IQ1_S_INL_H_
#undef QUERN_KERNELS_FORMATS_IQ1_S_INL_H_
#else
#define QUERN_KERNELS_FORMATS_IQ1_S_INL_H_
#endif

#include "kernels/formats/grid_decode-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// Eight groups of 32 weights, four points each: eleven bits of grid index, of which qh has the
// upper three; then in qh a scale of three bits, and the sign of the delta. x = d * (2 * scale + 1)
// * (trit +- 1/8).
struct IQ1_S {
  using Block = BlockIQ1_S;
  static constexpr int kElems = 256;

  static void Decode(const Block& block, float* out) {
    const float d = HalfToFloat(block.d);
    for (int group = 0; group < 8; ++group) {
      const unsigned high = block.qh[group];
      const float scale = d * static_cast<float>(2 * ((high >> 12) & 7) + 1);
      const float delta = high & 0x8000 ? -kIq1Delta : kIq1Delta;
      for (int k = 0; k < 4; ++k) {
        const unsigned index = block.qs[4 * group + k] | ((high >> (3 * k)) & 7) << 8;
        ExpandTrits(kIq1Grid[index], delta, scale, out + 32 * group + 8 * k);
      }
    }
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
