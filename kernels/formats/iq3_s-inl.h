// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_IQ3_S_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_IQ3_S_INL_H_
#undef QUERN_KERNELS_FORMATS_IQ3_S_INL_H_
#else
#define QUERN_KERNELS_FORMATS_IQ3_S_INL_H_
#endif

#include "kernels/formats/grid_decode-inl.h"
#include "kernels/formats/grid_fit-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// 64 times four weights: nine bits of grid index, of which qh has the highest, and a bit per sign.
// A scale of four bits serves 32 weights. x = d * (2 * scale + 1) * grid weight.
struct IQ3_S {
  static constexpr Type kType = Type::kIQ3_S;
  using Block = BlockIQ3_S;
  static constexpr int kElems = 256;
  static constexpr bool kRowMean = false;
  static constexpr bool kHasGrid = true;

  template <class L>
  static QUERN_LANE void Encode(const Tile<L>& tile) {
    using F = typename L::F;
    using I = typename L::I;
    GridFit<L, 4, 32, 9, Lists::kShort> fit(tile.grid, 0.2f);
    const F mean = SuperBlockMean<L>(tile.x, 2);
    Floats<L, 8> scale;
    // Indices and signs of eight slots, three words each. A group of zeros takes no slot: those
    // behind it move up, as in the reference, whose decoder then reads them for the wrong group.
    Ints<L, 24> slots;
    for (int i = 0; i < 24; ++i) slots.Set(i, L::SetI(0));
    I slot = L::SetI(0);
    for (int group = 0; group < 8; ++group) {
      const auto x = tile.x.template Sub<32>(32 * group);
      WeighOrSquare<L, 32>(tile, 32 * group, x, mean, fit.weight);
      fit.Load(x, false);
      const auto skipped = fit.max == L::Set(0);
      fit.scale = fit.max / L::Set(15);
      fit.Search(fit.max, false);
      fit.Refine(Refit::kAllIfAnyOffGrid);
      fit.MakePositive();
      scale.Set(group, L::Select(skipped, L::Set(0), fit.scale));
      Ints<L, 8> index;
      I high = L::SetI(0);
      for (int k = 7; k >= 0; --k) {
        index.Set(k, fit.Index(k, skipped));
        high = L::template Shl<1>(high) | L::template Shr<8>(index[k]);
      }
      tile.out.Byte(66 + group, high);
      const I words[3] = {JoinBytes<L>(index[0], index[1], index[2], index[3]),
                          JoinBytes<L>(index[4], index[5], index[6], index[7]),
                          JoinBytes<L>(fit.signs[0], fit.signs[1], fit.signs[2], fit.signs[3])};
      for (int s = 0; s <= group; ++s) {
        const auto here = L::And(L::Equal(slot, L::SetI(s)), L::Not(skipped));
        for (int w = 0; w < 3; ++w) {
          slots.Set(3 * s + w, L::Select(here, words[w], slots[3 * s + w]));
        }
      }
      slot = slot + L::Select(skipped, L::SetI(0), L::SetI(1));
    }
    for (int s = 0; s < 8; ++s) {
      tile.out.Word(2 + 8 * s, slots[3 * s]);
      tile.out.Word(6 + 8 * s, slots[3 * s + 1]);
      tile.out.Word(74 + 4 * s, slots[3 * s + 2]);
    }
    GridScales<L, 8> rounded;
    RoundGridScales<L, 8>(scale, 31, 15, rounded);
    tile.out.Half(0, L::Select(rounded.none, L::SetI(0), ToHalf<L>(rounded.d * L::Set(1.033f))));
    I scales = L::SetI(0);
    for (int group = 7; group >= 0; --group) {
      scales = L::template Shl<4>(scales) | rounded.level[group];
    }
    tile.out.Word(106, scales);
  }

  static QUERN_LANE void Decode(const Block& block, float* out) {
    const float d = HalfToFloat(block.d);
    for (int k = 0; k < 64; ++k) {
      const int code = (block.scales[k / 16] >> (k / 8 % 2 * 4)) & 15;
      const float scale = d * static_cast<float>(1 + 2 * code);
      const unsigned index = block.qs[k] | ((block.qh[k / 8] >> (k % 8)) & 1u) << 8;
      const unsigned signs = block.signs[k / 2] >> (k % 2 * 4);
      ExpandPoint(Iq3SPoint(index), signs, scale, out + 4 * k);
    }
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
