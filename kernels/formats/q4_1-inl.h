// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_Q4_1_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_Q4_1_INL_H_
#undef QUERN_KERNELS_FORMATS_Q4_1_INL_H_
#else
#define QUERN_KERNELS_FORMATS_Q4_1_INL_H_
#endif

#include "kernels/formats/legacy-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// x = d * q + m; the codes lie as in q4_0.
struct Q4_1 {
  static constexpr Type kType = Type::kQ4_1;
  using Block = BlockQ4_1;
  static constexpr int kElems = 32;
  static constexpr bool kRowMean = true;

  template <class L>
  static QUERN_LANE void Encode(const Tile<L>& tile) {
    Ints<L, 32> levels;
    const ScaleAndMin<L> fit = EncodeAffine<L, 15>(tile, levels);
    tile.out.Half(0, ToHalf<L>(fit.d));
    tile.out.Half(2, ToHalf<L>(fit.m));
    PackNibbles<L, 16>(tile.out, 4, levels, 0, 16);
  }

  static QUERN_LANE void Decode(const Block& block, float* out) {
    const float d = HalfToFloat(block.d);
    const float m = HalfToFloat(block.m);
    for (int i = 0; i < 16; ++i) {
      out[i] = static_cast<float>(block.qs[i] & 15) * d + m;
      out[i + 16] = static_cast<float>(block.qs[i] >> 4) * d + m;
    }
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
