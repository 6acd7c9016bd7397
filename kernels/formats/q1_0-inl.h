// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_Q1_0_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_Q1_0_INL_H_
#undef QUERN_KERNELS_FORMATS_Q1_0_INL_H_
#else
#define QUERN_KERNELS_FORMATS_Q1_0_INL_H_
#endif

#include "kernels/formats/legacy-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// x = d where bit i of qs is set, else -d; d is the mean magnitude. Importance makes no difference.
struct Q1_0 {
  static constexpr Type kType = Type::kQ1_0;
  using Block = BlockQ1_0;
  static constexpr int kElems = 128;
  static constexpr bool kRowMean = false;

  template <class L>
  static QUERN_LANE void Encode(const Tile<L>& tile) {
    typename L::F sum = L::Set(0);
    for (int word = 0; word < 4; ++word) {
      const auto x = tile.x.template Sub<32>(32 * word);
      for (int i = 0; i < 32; ++i) sum = sum + L::Abs(x[i]);
    }
    tile.out.Half(0, ToHalf<L>(sum / L::Set(128)));
    for (int word = 0; word < 4; ++word) {
      const auto x = tile.x.template Sub<32>(32 * word);
      typename L::I bits = L::SetI(0);
      for (int i = 31; i >= 0; --i) {
        const auto set = x[i] >= L::Set(0);
        bits = L::template Shl<1>(bits) | L::Select(set, L::SetI(1), L::SetI(0));
      }
      tile.out.Word(2 + 4 * word, bits);
    }
  }

  static QUERN_LANE void Decode(const Block& block, float* out) {
    const float d = HalfToFloat(block.d);
    for (int nibble = 0; nibble < 32; ++nibble) {
      const int bits = block.qs[nibble / 2] >> (nibble % 2 * 4);
      for (int i = 0; i < 4; ++i) {
        out[4 * nibble + i] = static_cast<float>(((bits >> i) & 1) * 2 - 1) * d;
      }
    }
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
