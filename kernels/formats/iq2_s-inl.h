// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_IQ2_S_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_IQ2_S_INL_H_
#undef QUERN_KERNELS_FORMATS_IQ2_S_INL_H_
#else
#define QUERN_KERNELS_FORMATS_IQ2_S_INL_H_
#endif

#include "kernels/formats/grid_decode-inl.h"
#include "kernels/formats/grid_fit-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// 32 times eight weights: ten bits of grid index, of which qh has the upper two, and eight signs. A
// scale of four bits serves 16 weights. x = d * (scale + 1/2) / 4 * grid weight.
struct IQ2_S {
  static constexpr Type kType = Type::kIQ2_S;
  using Block = BlockIQ2_S;
  static constexpr int kElems = 256;
  static constexpr bool kRowMean = false;
  static constexpr bool kHasGrid = true;

  template <class L>
  static QUERN_LANE void Encode(const Tile<L>& tile) {
    using F = typename L::F;
    using I = typename L::I;
    GridFit<L, 8, 16, 9, Lists::kShort> fit(tile.grid, 0.1f);
    const F mean = SuperBlockMean<L>(tile.x, 2);
    Floats<L, 16> scale;
    Ints<L, 32> index, signs;
    for (int j = 0; j < 16; ++j) {
      const auto x = tile.x.template Sub<16>(16 * j);
      if (tile.weighted) {
        WeighSquares<L, 16>(tile.importance.template Sub<16>(16 * j), x, mean, fit.weight);
      } else {
        for (int i = 0; i < 16; ++i) fit.weight.Set(i, L::Set(0.25f) * mean + x[i] * x[i]);
      }
      fit.Load(x, false);
      const auto skipped = fit.max < L::Set(1e-8f);
      fit.scale = fit.max / L::Set(5);
      fit.Search(fit.max, true);
      fit.Refine(Refit::kOffGrid);
      fit.MakePositive();
      scale.Set(j, L::Select(skipped, L::Set(0), fit.scale));
      for (int k = 0; k < 2; ++k) {
        index.Set(2 * j + k, fit.Index(k, skipped));
        signs.Set(2 * j + k, L::Select(skipped, L::SetI(0), fit.signs[k]));
      }
    }
    GridScales<L, 16> rounded;
    RoundGridScales<L, 16>(scale, 31, 15, rounded);
    tile.out.Half(0, L::Select(rounded.none, L::SetI(0), ToHalf<L>(rounded.d * L::Set(0.9875f))));
    PackBytes<L, 32>(tile.out, 2, index);
    PackBytes<L, 32>(tile.out, 34, signs);
    Ints<L, 8> high;
    for (int b = 0; b < 8; ++b) {
      I bits = L::SetI(0);
      for (int k = 3; k >= 0; --k) {
        bits = L::template Shl<2>(bits) | L::template Shr<8>(index[4 * b + k]);
      }
      high.Set(b, bits);
    }
    PackBytes<L, 8>(tile.out, 66, high);
    PackScalePairs<L>(tile.out, 74, rounded.level);
  }

  static QUERN_LANE void Decode(const Block& block, float* out) {
    const float d = HalfToFloat(block.d);
    for (int k = 0; k < 32; ++k) {
      const int code = (block.scales[k / 4] >> (k / 2 % 2 * 4)) & 15;
      const float scale = d * (0.5f + static_cast<float>(code)) * 0.25f;
      const unsigned index = block.qs[k] | ((block.qh[k / 4] >> (k % 4 * 2)) & 3u) << 8;
      ExpandPoint(Iq2SPoint(index), block.qs[32 + k], scale, out + 8 * k);
    }
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
