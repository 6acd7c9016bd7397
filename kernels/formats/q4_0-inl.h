// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_Q4_0_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_Q4_0_INL_H_
#undef QUERN_KERNELS_FORMATS_Q4_0_INL_H_
#else
#define QUERN_KERNELS_FORMATS_Q4_0_INL_H_
#endif

#include "kernels/formats/legacy-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// x = d * (q - 8); byte i of qs holds weight i in its lower and i + 16 in its upper nibble.
struct Q4_0 {
  static constexpr Type kType = Type::kQ4_0;
  using Block = BlockQ4_0;
  static constexpr int kElems = 32;
  static constexpr bool kRowMean = true;

  template <class L>
  static QUERN_LANE void Encode(const Tile<L>& tile) {
    Ints<L, 32> levels;
    tile.out.Half(0, ToHalf<L>(EncodeSymmetric<L, 8>(tile, levels)));
    PackNibbles<L, 16>(tile.out, 2, levels, 0, 16);
  }

  static QUERN_LANE void Decode(const Block& block, float* out) {
    const float d = HalfToFloat(block.d);
    for (int i = 0; i < 16; ++i) {
      out[i] = static_cast<float>((block.qs[i] & 15) - 8) * d;
      out[i + 16] = static_cast<float>((block.qs[i] >> 4) - 8) * d;
    }
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
