// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_IQ2_XS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_IQ2_XS_INL_H_
#undef QUERN_KERNELS_FORMATS_IQ2_XS_INL_H_
#else
#define QUERN_KERNELS_FORMATS_IQ2_XS_INL_H_
#endif

#include "kernels/formats/grid_decode-inl.h"
#include "kernels/formats/grid_fit-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// 32 times eight weights: nine bits of grid index and seven sign bits. A scale of four bits serves
// 16 weights. x = d * (scale + 1/2) / 4 * grid weight.
struct IQ2_XS {
  static constexpr Type kType = Type::kIQ2_XS;
  using Block = BlockIQ2_XS;
  static constexpr int kElems = 256;
  static constexpr bool kRowMean = false;
  static constexpr bool kHasGrid = true;

  // Needs an importance matrix.
  template <class L>
  static QUERN_LANE void Encode(const Tile<L>& tile) {
    using F = typename L::F;
    GridFit<L, 8, 16, 9, Lists::kLong> fit(tile.grid, 0.1f);
    const F mean = SuperBlockMean<L>(tile.x, 1);
    Floats<L, 16> scale;
    Ints<L, 16> words;
    for (int j = 0; j < 16; ++j) {
      const auto x = tile.x.template Sub<16>(16 * j);
      WeighSquares<L, 16>(tile.importance.template Sub<16>(16 * j), x, mean, fit.weight);
      fit.Load(x, true);
      const auto skipped = fit.max < L::Set(kZeroGroup);
      fit.scale = fit.max / L::Set(5);
      fit.Search(fit.max, true);
      fit.Refine(Refit::kOffGrid);
      fit.MakePositive();
      scale.Set(j, L::Select(skipped, L::Set(0), fit.scale));
      const auto half = [&](int k) HWY_ATTR {
        return fit.Index(k, skipped) | L::template Shl<9>(fit.signs[k] & L::SetI(127));
      };
      words.Set(j, L::Select(skipped, L::SetI(0), half(0) | L::template Shl<16>(half(1))));
    }
    GridScales<L, 16> rounded;
    RoundGridScales<L, 16>(scale, 31, 15, rounded);
    tile.out.Half(0, ToHalf<L>(rounded.d));
    for (int j = 0; j < 16; ++j) {
      tile.out.Word(2 + 4 * j, L::Select(rounded.none, L::SetI(0), words[j]));
    }
    PackScalePairs<L>(tile.out, 66, rounded.level);
  }

  static QUERN_LANE void Decode(const Block& block, float* out) {
    const float d = HalfToFloat(block.d);
    for (int k = 0; k < 32; ++k) {
      const int code = (block.scales[k / 4] >> (k / 2 % 2 * 4)) & 15;
      const float scale = d * (0.5f + static_cast<float>(code)) * 0.25f;
      const unsigned q = block.qs[k];
      ExpandPoint(Iq2XsPoint(q & 511), EvenSigns(q >> 9), scale, out + 8 * k);
    }
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
