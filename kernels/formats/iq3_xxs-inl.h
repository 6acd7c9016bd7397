// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_IQ3_XXS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_IQ3_XXS_INL_H_
#undef QUERN_KERNELS_FORMATS_IQ3_XXS_INL_H_
#else
#define QUERN_KERNELS_FORMATS_IQ3_XXS_INL_H_
#endif

#include "kernels/formats/grid_decode-inl.h"
#include "kernels/formats/grid_fit-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// 64 times four weights: a grid index of eight bits. Behind the indices a word for each 32 weights:
// four times seven sign bits, and a scale of four bits. x = d * (scale + 1/2) / 2 * grid weight.
struct IQ3_XXS {
  static constexpr Type kType = Type::kIQ3_XXS;
  using Block = BlockIQ3_XXS;
  static constexpr int kElems = 256;
  static constexpr bool kRowMean = false;
  static constexpr bool kHasGrid = true;

  template <class L>
  static QUERN_LANE void Encode(const Tile<L>& tile) {
    using F = typename L::F;
    using I = typename L::I;
    GridFit<L, 4, 32, 15, Lists::kShort> fit(tile.grid, 0.2f);
    const F mean = SuperBlockMean<L>(tile.x, 2);
    Floats<L, 8> scale;
    Ints<L, 64> index;
    Ints<L, 8> signs;
    for (int group = 0; group < 8; ++group) {
      const auto x = tile.x.template Sub<32>(32 * group);
      WeighOrSquare<L, 32>(tile, 32 * group, x, mean, fit.weight);
      fit.Load(x, true);
      const auto skipped = fit.max < L::Set(1e-8f);
      fit.scale = fit.max / L::Set(15);
      fit.Search(fit.max, true);
      fit.Refine(Refit::kOffGrid);
      fit.MakePositive();
      scale.Set(group, L::Select(skipped, L::Set(0), fit.scale));
      for (int k = 0; k < 8; ++k) index.Set(8 * group + k, fit.Index(k, skipped));
      I sign_word = L::SetI(0);
      for (int k = 3; k >= 0; --k) {
        sign_word = L::template Shl<7>(sign_word) | (fit.signs[k] & L::SetI(127));
      }
      signs.Set(group, L::Select(skipped, L::SetI(0), sign_word));
    }
    GridScales<L, 8> rounded;
    RoundGridScales<L, 8>(scale, 31, 15, rounded);
    tile.out.Half(0, L::Select(rounded.none, L::SetI(0), ToHalf<L>(rounded.d * L::Set(1.0125f))));
    for (int k = 0; k < 64; ++k) index.Set(k, L::Select(rounded.none, L::SetI(0), index[k]));
    PackBytes<L, 64>(tile.out, 2, index);
    for (int group = 0; group < 8; ++group) {
      const I word = signs[group] | L::template Shl<28>(rounded.level[group]);
      tile.out.Word(66 + 4 * group, L::Select(rounded.none, L::SetI(0), word));
    }
  }

  static QUERN_LANE void Decode(const Block& block, float* out) {
    const float d = HalfToFloat(block.d);
    for (int group = 0; group < 8; ++group) {
      uint32_t word;
      std::memcpy(&word, block.qs + 64 + 4 * group, sizeof(word));
      const float scale = d * (0.5f + static_cast<float>(word >> 28)) * 0.5f;
      for (int k = 0; k < 8; ++k) {
        const unsigned signs = EvenSigns((word >> (7 * (k / 2))) & 127) >> (k % 2 * 4);
        ExpandPoint(Iq3XxsPoint(block.qs[8 * group + k]), signs, scale, out + 32 * group + 4 * k);
      }
    }
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
