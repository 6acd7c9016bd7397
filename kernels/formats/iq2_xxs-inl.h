// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_IQ2_XXS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_IQ2_XXS_INL_H_
#undef QUERN_KERNELS_FORMATS_IQ2_XXS_INL_H_
#else
#define QUERN_KERNELS_FORMATS_IQ2_XXS_INL_H_
#endif

#include "kernels/formats/grid_decode-inl.h"
#include "kernels/formats/grid_fit-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// Eight groups of 32 weights, a group is two words: four grid indices of 8 bits, then four times
// seven sign bits and a scale of four bits. x = d * (scale + 1/2) / 4 * grid weight.
struct IQ2_XXS {
  static constexpr Type kType = Type::kIQ2_XXS;
  using Block = BlockIQ2_XXS;
  static constexpr int kElems = 256;
  static constexpr bool kRowMean = false;
  static constexpr bool kHasGrid = true;

  // Needs an importance matrix.
  template <class L>
  static QUERN_LANE void Encode(const Tile<L>& tile) {
    using F = typename L::F;
    using I = typename L::I;
    GridFit<L, 8, 32, 6, Lists::kLong> fit(tile.grid, 0.1f);
    const F mean = SuperBlockMean<L>(tile.x, 1);
    Floats<L, 8> scale;
    Ints<L, 8> indices, signs;
    for (int group = 0; group < 8; ++group) {
      const auto x = tile.x.template Sub<32>(32 * group);
      WeighSquares<L, 32>(tile.importance.template Sub<32>(32 * group), x, mean, fit.weight);
      fit.Load(x, true);
      // The trials start from the scale that four free levels want.
      Ints<L, 32> free_levels;
      fit.scale = FitPositive<L, 32, 4>(fit.magnitude, fit.weight, free_levels);
      const F widest = fit.scale * L::Set(3);
      const auto skipped = L::Or(fit.max < L::Set(kZeroGroup), widest <= L::Set(0));
      fit.Search(widest, true);
      fit.Refine(Refit::kAll);
      fit.MakePositive();
      scale.Set(group, L::Select(skipped, L::Set(0), fit.scale));
      I index_word = L::SetI(0), sign_word = L::SetI(0);
      for (int k = 3; k >= 0; --k) {
        index_word = L::template Shl<8>(index_word) | fit.Index(k, skipped);
        sign_word = L::template Shl<7>(sign_word) | (fit.signs[k] & L::SetI(127));
      }
      indices.Set(group, index_word);
      signs.Set(group, L::Select(skipped, L::SetI(0), sign_word));
    }
    GridScales<L, 8> rounded;
    RoundGridScales<L, 8>(scale, 31, 15, rounded);
    tile.out.Half(0, ToHalf<L>(rounded.d));
    for (int group = 0; group < 8; ++group) {
      const I sign_word = signs[group] | L::template Shl<28>(rounded.level[group]);
      tile.out.Word(2 + 8 * group, L::Select(rounded.none, L::SetI(0), indices[group]));
      tile.out.Word(6 + 8 * group, L::Select(rounded.none, L::SetI(0), sign_word));
    }
  }

  static QUERN_LANE void Decode(const Block& block, float* out) {
    const float d = HalfToFloat(block.d);
    for (int group = 0; group < 8; ++group) {
      uint32_t words[2];
      std::memcpy(words, block.qs + 4 * group, sizeof(words));
      const float scale = d * (0.5f + static_cast<float>(words[1] >> 28)) * 0.25f;
      for (int k = 0; k < 4; ++k) {
        const unsigned signs = EvenSigns((words[1] >> (7 * k)) & 127);
        ExpandPoint(Iq2XxsPoint((words[0] >> (8 * k)) & 255), signs, scale,
                    out + 32 * group + 8 * k);
      }
    }
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
