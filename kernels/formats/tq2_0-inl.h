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
    using I = typename L::I;
    const Trits<L> trits(tile.x);
    for (int b = 0; b < 64; b += 8) {
      const int first = 128 * (b / 32) + b % 32;
      const auto x0 = tile.x.template Sub<8>(first);
      const auto x1 = tile.x.template Sub<8>(first + 32);
      const auto x2 = tile.x.template Sub<8>(first + 64);
      const auto x3 = tile.x.template Sub<8>(first + 96);
      const auto byte = [&](int i) HWY_ATTR {
        const I mask = L::SetI(3);
        return (trits(x0[i]) & mask) | L::template Shl<2>(trits(x1[i]) & mask) |
               L::template Shl<4>(trits(x2[i]) & mask) | L::template Shl<6>(trits(x3[i]) & mask);
      };
      tile.out.Word(b, JoinBytes<L>(byte(0), byte(1), byte(2), byte(3)));
      tile.out.Word(b + 4, JoinBytes<L>(byte(4), byte(5), byte(6), byte(7)));
    }
    tile.out.Half(64, ToHalf<L>(trits.d));
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
