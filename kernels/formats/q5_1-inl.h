// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_Q5_1_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_Q5_1_INL_H_
#undef QUERN_KERNELS_FORMATS_Q5_1_INL_H_
#else
#define QUERN_KERNELS_FORMATS_Q5_1_INL_H_
#endif

#include "kernels/formats/legacy-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// x = d * q + m; the codes lie as in q5_0.
struct Q5_1 {
  static constexpr Type kType = Type::kQ5_1;
  using Block = BlockQ5_1;
  static constexpr int kElems = 32;
  static constexpr bool kRowMean = true;

  template <class L>
  static QUERN_LANE void Encode(const Tile<L>& tile) {
    Ints<L, 32> levels;
    const ScaleAndMin<L> fit = EncodeAffine<L, 31>(tile, levels);
    tile.out.Half(0, ToHalf<L>(fit.d));
    tile.out.Half(2, ToHalf<L>(fit.m));
    tile.out.Word(4, FifthBits<L>(levels));
    PackNibbles<L, 16>(tile.out, 8, levels, 0, 16);
  }

  static QUERN_LANE void Decode(const Block& block, float* out) {
    const float d = HalfToFloat(block.d);
    const float m = HalfToFloat(block.m);
    uint32_t high;
    std::memcpy(&high, block.qh, sizeof(high));
    for (int i = 0; i < 16; ++i) {
      const int low_code = (block.qs[i] & 15) | ((high >> i) & 1) << 4;
      const int high_code = (block.qs[i] >> 4) | ((high >> (i + 16)) & 1) << 4;
      out[i] = static_cast<float>(low_code) * d + m;
      out[i + 16] = static_cast<float>(high_code) * d + m;
    }
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
