// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_Q2_0_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_Q2_0_INL_H_
#undef QUERN_KERNELS_FORMATS_Q2_0_INL_H_
#else
#define QUERN_KERNELS_FORMATS_Q2_0_INL_H_
#endif

#include "kernels/formats/legacy-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// x = d * (q - 1); byte i of qs holds weights 4 * i to 4 * i + 3, the first in the lowest bits. d
// is the largest magnitude, so q is 0, 1 or 2. Importance makes no difference.
struct Q2_0 {
  static constexpr Type kType = Type::kQ2_0;
  using Block = BlockQ2_0;
  static constexpr int kElems = 64;
  static constexpr bool kRowMean = false;

  template <class L>
  static QUERN_LANE void Encode(const Tile<L>& tile) {
    const auto x = tile.x.template Sub<64>(0);
    const typename L::F d = FindExtreme<L, 64>(x).magnitude;
    const typename L::F inverse = L::Select(d > L::Set(0), L::Set(1) / d, L::Set(0));
    tile.out.Half(0, ToHalf<L>(d));
    for (int word = 0; word < 4; ++word) {
      typename L::I bits = L::SetI(0);
      for (int i = 15; i >= 0; --i) {
        const typename L::I level = RoundAway<L>(x[16 * word + i] * inverse) + L::SetI(1);
        bits = L::template Shl<2>(bits) | Clamp<L>(level, 0, 3);
      }
      tile.out.Word(2 + 4 * word, bits);
    }
  }

  static QUERN_LANE void Decode(const Block& block, float* out) {
    const float d = HalfToFloat(block.d);
    for (int byte = 0; byte < 16; ++byte) {
      for (int i = 0; i < 4; ++i) {
        out[4 * byte + i] = static_cast<float>(((block.qs[byte] >> (2 * i)) & 3) - 1) * d;
      }
    }
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
