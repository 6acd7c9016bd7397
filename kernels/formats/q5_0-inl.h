// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_Q5_0_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_Q5_0_INL_H_
#undef QUERN_KERNELS_FORMATS_Q5_0_INL_H_
#else
#define QUERN_KERNELS_FORMATS_Q5_0_INL_H_
#endif

#include "kernels/formats/legacy-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// x = d * (q - 16); the lower four bits of the codes lie as in q4_0, the fifth of code i is bit i
// of qh.
struct Q5_0 {
  static constexpr Type kType = Type::kQ5_0;
  using Block = BlockQ5_0;
  static constexpr int kElems = 32;
  static constexpr bool kRowMean = true;

  template <class L>
  static QUERN_LANE void Encode(const Tile<L>& tile) {
    Ints<L, 32> levels;
    tile.out.Half(0, ToHalf<L>(EncodeSymmetric<L, 16>(tile, levels)));
    tile.out.Word(2, FifthBits<L>(levels));
    PackNibbles<L, 16>(tile.out, 6, levels, 0, 16);
  }

  static QUERN_LANE void Decode(const Block& block, float* out) {
    const float d = HalfToFloat(block.d);
    uint32_t high;
    std::memcpy(&high, block.qh, sizeof(high));
    for (int i = 0; i < 16; ++i) {
      const int low_code = (block.qs[i] & 15) | ((high >> i) & 1) << 4;
      const int high_code = (block.qs[i] >> 4) | ((high >> (i + 16)) & 1) << 4;
      out[i] = static_cast<float>(low_code - 16) * d;
      out[i + 16] = static_cast<float>(high_code - 16) * d;
    }
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
