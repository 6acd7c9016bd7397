// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_TQ2_0_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_TQ2_0_INL_H_
#undef QUERN_KERNELS_FORMATS_TQ2_0_INL_H_
#else
#define QUERN_KERNELS_FORMATS_TQ2_0_INL_H_
#endif

#include "kernels/formats/ternary-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// Byte 32 * h + i of qs holds the trits of weights 128 * h + i + {0, 32, 64, 96}, two bits each.
struct TQ2_0 {
  static constexpr Type kType = Type::kTQ2_0;
  using Block = BlockTQ2_0;
  static constexpr int kElems = 256;
  static constexpr bool kRowMean = false;

  template <class L>
  static QUERN_LANE void Encode(const Tile<L>& tile) {
    Ints<L, 256> trits;
    const typename L::F d = EncodeTrits<L>(tile.x, trits);
    PackPairs<L>(tile.out, 0, trits, 0);
    PackPairs<L>(tile.out, 32, trits, 128);
    tile.out.Half(64, ToHalf<L>(d));
  }

  static QUERN_LANE void Decode(const Block& block, float* out) {
    const float d = HalfToFloat(block.d);
    for (int k = 0; k < 8; ++k) {
      const uint8_t* qs = block.qs + 32 * (k / 4);
      for (int i = 0; i < 32; ++i) {
        out[32 * k + i] = static_cast<float>(((qs[i] >> (k % 4 * 2)) & 3) - 1) * d;
      }
    }
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
