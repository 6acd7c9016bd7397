// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_IQ4_XS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_IQ4_XS_INL_H_
#undef QUERN_KERNELS_FORMATS_IQ4_XS_INL_H_
#else
#define QUERN_KERNELS_FORMATS_IQ4_XS_INL_H_
#endif

#include "kernels/formats/iq4-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// Eight groups of 32 weights: x = d * (scale - 32) * kIq4Weights[q], the codes as in q4_0. Of the
// scales, scales_l has the lower four bits and scales_h the upper two, the first group lowest.
struct IQ4_XS {
  static constexpr Type kType = Type::kIQ4_XS;
  using Block = BlockIQ4_XS;
  static constexpr int kElems = 256;
  static constexpr bool kRowMean = false;
  static constexpr bool kIq4 = true;

  template <class L>
  static QUERN_LANE void Encode(const Tile<L>& tile) {
    using F = typename L::F;
    using I = typename L::I;
    const F mean = SumOfSquares<L, 256>(tile.x) * L::Set(2.0f / 256);
    Floats<L, 32> weights;
    Floats<L, 8> scale;
    F max = L::Set(0), magnitude = L::Set(0);
    for (int group = 0; group < 8; ++group) {
      const auto x = tile.x.template Sub<32>(32 * group);
      WeighOrSquare<L, 32>(tile, 32 * group, x, mean, weights);
      const F s = FitIq4<L>(x, weights);
      scale.Set(group, s);
      max = L::Select(L::Abs(s) > magnitude, s, max);
      magnitude = L::Max(L::Abs(s), magnitude);
    }
    // The codes are made for the scale before it is rounded to half.
    const F d = L::Neg(max) / L::Set(32);
    const F inverse = InverseOrZero<L>(d);
    I low = L::SetI(0), high = L::SetI(0);
    for (int group = 7; group >= 0; --group) {
      const I level = Clamp<L>(NearestInt<L>(inverse * scale[group]), -32, 31);
      const F group_inverse = InverseOrZero<L>(d * L::ToFloat(level));
      PackIq4<L>(tile.out, 8 + 16 * group, tile.x.template Sub<32>(32 * group), group_inverse);
      const I stored = level + L::SetI(32);
      low = L::template Shl<4>(low) | (stored & L::SetI(15));
      high = L::template Shl<2>(high) | L::template Shr<4>(stored);
    }
    tile.out.Half(0, ToHalf<L>(d));
    tile.out.Half(2, high);
    tile.out.Word(4, low);
  }

  static QUERN_LANE void Decode(const Block& block, float* out) {
    const float d = HalfToFloat(block.d);
    for (int group = 0; group < 8; ++group) {
      const int low = (block.scales_l[group / 2] >> (group % 2 * 4)) & 15;
      const int high = (block.scales_h >> (2 * group)) & 3;
      const float scale = d * static_cast<float>((low | high << 4) - 32);
      UnpackIq4(block.qs + 16 * group, scale, out + 32 * group);
    }
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
