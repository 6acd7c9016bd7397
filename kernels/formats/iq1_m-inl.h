// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_IQ1_M_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_IQ1_M_INL_H_
#undef QUERN_KERNELS_FORMATS_IQ1_M_INL_H_
#else
#define QUERN_KERNELS_FORMATS_IQ1_M_INL_H_
#endif

#include "kernels/formats/grid_decode-inl.h"
#include "kernels/formats/grid_fit-inl.h"
#include "kernels/formats/iq1-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// 32 times eight weights: eleven bits of grid index, of which a nibble of qh has the upper three,
// and in it the sign of the delta. A scale of three bits serves 16 weights; the four u16 of scales
// have four of them each, and in the top bits a nibble of d, the first the lowest. x = d * (2 *
// scale + 1) * (trit +- 1/8).
struct IQ1_M {
  static constexpr Type kType = Type::kIQ1_M;
  using Block = BlockIQ1_M;
  static constexpr int kElems = 256;
  static constexpr bool kRowMean = false;
  static constexpr bool kHasGrid = true;

  template <class L>
  static QUERN_LANE void Encode(const Tile<L>& tile) {
    using F = typename L::F;
    using M = typename L::M;
    constexpr int kFirstPoint = kIq1Codes[0];
    const F mean = SuperBlockMean<L>(tile.x, 2);
    Floats<L, 16> scale;
    Ints<L, 32> index, code;
    Ints<L, 16> variant;
    for (int j = 0; j < 16; ++j) {
      const auto x = tile.x.template Sub<16>(16 * j);
      Iq1Fit<L, 16> fit(tile.grid);
      WeighOrSquare<L, 16>(tile, 16 * j, x, mean, fit.weight);
      fit.split.scale = fit.Max(x);
      const M zero = fit.split.scale < L::Set(1e-7f);
      const Sorted<L, 16> sorted(x);
      SplitSearch<L>(sorted, fit.weight).Run(fit.split);
      fit.TakeSplit(sorted, 4);
      const M plus[2] = {FirstAdds<L>(fit.split.variant), SecondAdds<L>(fit.split.variant)};
      fit.Snap(x, plus);
      const M used = L::And(fit.found, L::Not(zero));
      scale.Set(j, L::Select(used, fit.split.scale, L::Set(0)));
      variant.Set(j, L::Select(used, fit.split.variant, L::SetI(0)));
      for (int k = 0; k < 2; ++k) {
        index.Set(2 * j + k, L::Select(used, fit.Index(k), L::SetI(0)));
        code.Set(2 * j + k, L::Select(used, fit.code[k], L::SetI(kFirstPoint)));
      }
    }
    GridScales<L, 16> rounded;
    RoundGridScales<L, 16>(scale, 15, 7, rounded);
    const F d = FitSuperScale<L>(tile, mean, code, variant, rounded);
    Write<L>(tile.out, index, variant, rounded,
             L::Select(rounded.none, L::SetI(0), ToHalf<L>(d * L::Set(1.1125f))));
  }

  static QUERN_LANE void Decode(const Block& block, float* out) {
    uint16_t scales[4];
    std::memcpy(scales, block.scales, sizeof(scales));
    unsigned half = 0;
    for (int i = 0; i < 4; ++i) half |= static_cast<unsigned>(scales[i] >> 12) << (4 * i);
    const float d = HalfToFloat(static_cast<uint16_t>(half));
    for (int k = 0; k < 32; ++k) {
      const int code = (scales[k / 8] >> (k / 2 % 4 * 3)) & 7;
      const float scale = d * static_cast<float>(2 * code + 1);
      const unsigned high = (block.qh[k / 2] >> (k % 2 * 4)) & 15;
      const unsigned index = block.qs[k] | (high & 7) << 8;
      ExpandTrits(Iq1Point(index), high & 8 ? -kIq1Delta : kIq1Delta, scale, out + 8 * k);
    }
  }

 private:
  // Four variants: whether the deltas of the two eights are added or subtracted. 0: + +, 1: + -,
  // 2: - +, 3: - -.
  template <class L>
  static QUERN_LANE typename L::M FirstAdds(typename L::I variant) {
    return L::Less(variant, L::SetI(2));
  }
  template <class L>
  static QUERN_LANE typename L::M SecondAdds(typename L::I variant) {
    return L::Equal(variant & L::SetI(1), L::SetI(0));
  }

  // All splits of 16 sorted weights. The sums go over the sorted weights one by one, so those of
  // two splits share a beginning: with the trits 0 up to i1, and then with 1 up to i2.
  template <class L>
  class SplitSearch {
    using F = typename L::F;

   public:
    QUERN_LANE SplitSearch(const Sorted<L, 16>& sorted, const Floats<L, 16>& weight) {
      for (int j = 0; j < 16; ++j) {
        const F x = sorted.x[j];
        const F w = L::LookupOwn(weight.values, sorted.from[j]);
        const auto first = L::Less(sorted.from[j], L::SetI(8));
        for (int trit = 0; trit < 3; ++trit) {
          const F level_plus = L::Set(Iq1Levels(true)[trit]);
          const F level_minus = L::Set(Iq1Levels(false)[trit]);
          const F plus = w * level_plus, minus = w * level_minus;
          const F qx_plus = plus * x, qx_minus = minus * x;
          const F q2_plus = plus * level_plus, q2_minus = minus * level_minus;
          const int at = 4 * (16 * trit + j);
          qx_.Set(at, qx_plus);
          qx_.Set(at + 1, L::Select(first, qx_plus, qx_minus));
          qx_.Set(at + 2, L::Select(first, qx_minus, qx_plus));
          qx_.Set(at + 3, qx_minus);
          q2_.Set(at, q2_plus);
          q2_.Set(at + 1, L::Select(first, q2_plus, q2_minus));
          q2_.Set(at + 2, L::Select(first, q2_minus, q2_plus));
          q2_.Set(at + 3, q2_minus);
        }
      }
    }

    QUERN_LANE void Run(BestSplit<L>& best) const {
      Sums low;
      for (int i1 = 0; i1 <= 16; ++i1) {
        if (i1 > 0) Add(low, 0, i1 - 1);
        Sums middle = low;
        for (int i2 = i1; i2 <= 16; ++i2) {
          if (i2 > i1) Add(middle, 1, i2 - 1);
          Sums all = middle;
          for (int j = i2; j < 16; ++j) Add(all, 2, j);
          best.Offer(all.qx0, all.q20, i1, i2, 0);
          best.Offer(all.qx1, all.q21, i1, i2, 1);
          best.Offer(all.qx2, all.q22, i1, i2, 2);
          best.Offer(all.qx3, all.q23, i1, i2, 3);
        }
      }
    }

   private:
    struct Sums {
      F qx0, qx1, qx2, qx3;
      F q20, q21, q22, q23;
      HWY_INLINE Sums()
          : qx0(L::Set(0)), qx1(qx0), qx2(qx0), qx3(qx0), q20(qx0), q21(qx0), q22(qx0), q23(qx0) {}
    };
    HWY_INLINE void Add(Sums& sums, int trit, int j) const {
      const int at = 4 * (16 * trit + j);
      sums.qx0 = sums.qx0 + qx_[at];
      sums.qx1 = sums.qx1 + qx_[at + 1];
      sums.qx2 = sums.qx2 + qx_[at + 2];
      sums.qx3 = sums.qx3 + qx_[at + 3];
      sums.q20 = sums.q20 + q2_[at];
      sums.q21 = sums.q21 + q2_[at + 1];
      sums.q22 = sums.q22 + q2_[at + 2];
      sums.q23 = sums.q23 + q2_[at + 3];
    }

    Floats<L, 4 * 16 * 3> qx_, q2_;  // [trit][sorted weight][variant]
  };

  // The scale of the super-block that fits the rounded scales best.
  template <class L>
  static QUERN_LANE typename L::F FitSuperScale(const Tile<L>& tile, typename L::F mean,
                                                const Ints<L, 32>& code, const Ints<L, 16>& variant,
                                                const GridScales<L, 16>& rounded) {
    using F = typename L::F;
    F sum_qx = L::Set(0), sum_q2 = L::Set(0);
    Floats<L, 16> weight;
    for (int j = 0; j < 16; ++j) {
      const auto x = tile.x.template Sub<16>(16 * j);
      WeighOrSquare<L, 16>(tile, 16 * j, x, mean, weight);
      const F factor = L::ToFloat(rounded.level[j] + rounded.level[j] + L::SetI(1));
      for (int k = 0; k < 2; ++k) {
        const auto plus = k == 0 ? FirstAdds<L>(variant[j]) : SecondAdds<L>(variant[j]);
        typename L::I rest = code[2 * j + k];
        for (int p = 0; p < 8; ++p) {
          const int i = 8 * k + p;
          const F q = L::Select(plus, L::Lookup(Iq1Levels(true), rest & L::SetI(3)),
                                L::Lookup(Iq1Levels(false), rest & L::SetI(3))) *
                      factor;
          const F wq = weight[i] * q;
          sum_qx = sum_qx + wq * x[i];
          sum_q2 = sum_q2 + wq * q;
          rest = L::template Shr<2>(rest);
        }
      }
    }
    return L::Select(sum_q2 > L::Set(0), sum_qx / sum_q2, rounded.d);
  }

  template <class L>
  static QUERN_LANE void Write(const Out<L>& out, const Ints<L, 32>& index,
                               const Ints<L, 16>& variant, const GridScales<L, 16>& rounded,
                               typename L::I half) {
    using I = typename L::I;
    PackBytes<L, 32>(out, 0, index);
    Ints<L, 16> high;
    for (int j = 0; j < 16; ++j) {
      const I first = L::Select(FirstAdds<L>(variant[j]), L::SetI(0), L::SetI(0x08));
      const I second = L::Select(SecondAdds<L>(variant[j]), L::SetI(0), L::SetI(0x80));
      const I deltas = L::Select(rounded.none, L::SetI(0), first | second);
      high.Set(j, L::template Shr<8>(index[2 * j]) |
                      L::template Shl<4>(L::template Shr<8>(index[2 * j + 1])) | deltas);
    }
    PackBytes<L, 16>(out, 32, high);
    I rest = half;
    for (int k = 0; k < 4; ++k) {
      I bits = rest & L::SetI(15);
      for (int j = 3; j >= 0; --j) bits = L::template Shl<3>(bits) | rounded.level[4 * k + j];
      out.Half(48 + 2 * k, bits);
      rest = L::template Shr<4>(rest);
    }
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
