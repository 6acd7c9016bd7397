// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_IQ1_S_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_IQ1_S_INL_H_
#undef QUERN_KERNELS_FORMATS_IQ1_S_INL_H_
#else
#define QUERN_KERNELS_FORMATS_IQ1_S_INL_H_
#endif

#include "kernels/formats/grid_decode-inl.h"
#include "kernels/formats/grid_fit-inl.h"
#include "kernels/formats/iq1-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// Eight groups of 32 weights, four points each: eleven bits of grid index, of which qh has the
// upper three; then in qh a scale of three bits, and the sign of the delta. x = d * (2 * scale + 1)
// * (trit +- 1/8).
struct IQ1_S {
  static constexpr Type kType = Type::kIQ1_S;
  using Block = BlockIQ1_S;
  static constexpr int kElems = 256;
  static constexpr bool kRowMean = false;
  static constexpr bool kHasGrid = true;

  // Needs an importance matrix.
  template <class L>
  static QUERN_LANE void Encode(const Tile<L>& tile) {
    using F = typename L::F;
    using I = typename L::I;
    const F mean = SuperBlockMean<L>(tile.x, 2);
    Floats<L, 8> scale;
    Ints<L, 32> index;
    Ints<L, 8> high;  // qh without the scale
    for (int group = 0; group < 8; ++group) {
      const auto x = tile.x.template Sub<32>(32 * group);
      Iq1Fit<L, 32> fit(tile.grid);
      WeighSquares<L, 32>(tile.importance.template Sub<32>(32 * group), x, mean, fit.weight);
      fit.split.scale = fit.Max(x);
      const auto zero = fit.split.scale < L::Set(1e-12f);
      const Sorted<L, 32> sorted(x);
      TrySplits<L>(sorted, fit);
      fit.TakeSplit(sorted, 2);
      const auto plus = L::Equal(fit.split.variant, L::SetI(0));
      const typename L::M all_plus[4] = {plus, plus, plus, plus};
      fit.Snap(x, all_plus);
      const auto used = L::And(fit.found, L::Not(zero));
      scale.Set(group, L::Select(used, fit.split.scale, L::Set(0)));
      I bits = L::SetI(0);
      for (int k = 3; k >= 0; --k) {
        const I point = L::Select(used, fit.Index(k), L::SetI(0));
        index.Set(4 * group + k, point);
        bits = L::template Shl<3>(bits) | L::template Shr<8>(point);
      }
      high.Set(group, bits | L::Select(L::And(used, L::Not(plus)), L::SetI(0x8000), L::SetI(0)));
    }
    GridScales<L, 8> rounded;
    RoundGridScales<L, 8>(scale, 15, 7, rounded);
    tile.out.Half(0, L::Select(rounded.none, L::SetI(0), ToHalf<L>(rounded.d * L::Set(1.125f))));
    PackBytes<L, 32>(tile.out, 2, index);
    for (int group = 0; group < 8; ++group) {
      const I kept = L::Select(rounded.none, high[group] & L::SetI(0x7fff), high[group]);
      tile.out.Half(34 + 2 * group, kept | L::template Shl<12>(rounded.level[group]));
    }
  }

  static QUERN_LANE void Decode(const Block& block, float* out) {
    const float d = HalfToFloat(block.d);
    for (int group = 0; group < 8; ++group) {
      const unsigned high = block.qh[group];
      const float scale = d * static_cast<float>(2 * ((high >> 12) & 7) + 1);
      const float delta = high & 0x8000 ? -kIq1Delta : kIq1Delta;
      for (int k = 0; k < 4; ++k) {
        const unsigned index = block.qs[4 * group + k] | ((high >> (3 * k)) & 7) << 8;
        ExpandTrits(Iq1Point(index), delta, scale, out + 32 * group + 8 * k);
      }
    }
  }

 private:
  // All splits of 32 sorted weights, from the sums up to each. Variant 0 adds the delta.
  template <class L>
  static QUERN_LANE void TrySplits(const Sorted<L, 32>& sorted, Iq1Fit<L, 32>& fit) {
    using F = typename L::F;
    Floats<L, 33> sum_x, sum_w;
    sum_x.Set(0, L::Set(0));
    sum_w.Set(0, L::Set(0));
    for (int j = 0; j < 32; ++j) {
      const F w = L::LookupOwn(fit.weight.values, sorted.from[j]);
      sum_x.Set(j + 1, sum_x[j] + w * sorted.x[j]);
      sum_w.Set(j + 1, sum_w[j] + w);
    }
    const auto offer = [&](const float* level, int i1, int i2, int variant) HWY_ATTR {
      const F l0 = L::Set(level[0]), l1 = L::Set(level[1]), l2 = L::Set(level[2]);
      const F sum_qx = ((sum_x[i1] - sum_x[0]) * l0 + (sum_x[i2] - sum_x[i1]) * l1) +
                       (sum_x[32] - sum_x[i2]) * l2;
      const F sum_q2 = (((sum_w[i1] - sum_w[0]) * l0) * l0 + ((sum_w[i2] - sum_w[i1]) * l1) * l1) +
                       ((sum_w[32] - sum_w[i2]) * l2) * l2;
      fit.split.Offer(sum_qx, sum_q2, i1, i2, variant);
    };
    for (int i1 = 0; i1 <= 32; ++i1) {
      for (int i2 = i1; i2 <= 32; ++i2) {
        offer(Iq1Levels(true), i1, i2, 0);
        offer(Iq1Levels(false), i1, i2, 1);
      }
    }
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
