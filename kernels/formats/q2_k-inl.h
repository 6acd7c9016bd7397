// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_Q2_K_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_Q2_K_INL_H_
#undef QUERN_KERNELS_FORMATS_Q2_K_INL_H_
#else
#define QUERN_KERNELS_FORMATS_Q2_K_INL_H_
#endif

#include <cstddef>

#include "kernels/formats/k_affine-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// x = d * (scales[j] & 15) * q - dmin * (scales[j] >> 4) for the sixteen sub-blocks j of 16
// weights. Byte 32 * h + i of qs holds weights 128 * h + i + {0, 32, 64, 96}, the first in the
// lowest bits.
struct Q2_K {
  static constexpr Type kType = Type::kQ2_K;
  using Block = BlockQ2_K;
  static constexpr int kElems = 256;
  static constexpr bool kRowMean = false;

  template <class L>
  static QUERN_LANE void Encode(const Tile<L>& tile) {
    Encoder<L>(tile).Run();
  }

  static QUERN_LANE void Decode(const Block& block, float* out) {
    const float d = HalfToFloat(block.d);
    const float dmin = HalfToFloat(block.dmin);
    for (int j = 0; j < 16; ++j) {
      const float scale = d * static_cast<float>(block.scales[j] & 15);
      const float min = dmin * static_cast<float>(block.scales[j] >> 4);
      const uint8_t* qs = block.qs + 32 * (j / 8) + 16 * (j % 2);
      const int shift = j / 2 % 4 * 2;
      for (int i = 0; i < 16; ++i) {
        out[16 * j + i] = scale * static_cast<float>((qs[i] >> shift) & 3) - min;
      }
    }
  }

 private:
  template <class L>
  class Encoder {
    using F = typename L::F;
    using I = typename L::I;

   public:
    explicit QUERN_LANE Encoder(const Tile<L>& tile) : tile_(tile) {}

    QUERN_LANE void Run() {
      Ints<L, 16> scale, min;
      F d, dmin;
      if (tile_.weighted) {
        FitWeighted();
        d = FitPositive<L, 16, 15>(scale_, weight_, scale);
        dmin = FitPositive<L, 16, 15>(minus_, weight_, min);
      } else {
        FitPlain();
        d = RoundScales(scale_, scale);
        dmin = RoundScales(minus_, min);
      }
      Ints<L, 16> packed;
      for (int j = 0; j < 16; ++j) {
        packed.Set(j, (scale[j] | L::template Shl<4>(min[j])) & L::SetI(0xff));
      }
      PackBytes<L, 16>(tile_.out, offsetof(Block, scales), packed);
      const I half_d = ToHalf<L>(d);
      const I half_dmin = ToHalf<L>(dmin);
      tile_.out.Half(offsetof(Block, d), half_d);
      tile_.out.Half(offsetof(Block, dmin), half_dmin);
      FinalLevels<L, 16, 0, 3, true> final_levels;
      for (int j = 0; j < 16; ++j) {
        final_levels.Set(j, FromHalf<L>(half_d) * L::ToFloat(packed[j] & L::SetI(15)),
                         FromHalf<L>(half_dmin) * L::ToFloat(L::template Shr<4>(packed[j])),
                         widest_[j]);
      }
      const auto searched = [&](int j, Ints<L, 16>& codes) HWY_ATTR {
        const auto x = tile_.x.template Sub<16>(16 * j);
        for (int i = 0; i < 16; ++i) {
          codes.Set(i, AffineLevel<L, 3>(inverse_[j], base_[j], x[i]));
        }
      };
      final_levels.Write(tile_, searched, [](const uint8_t* codes, uint8_t* block) {
        JoinPairs<0>(codes, block + offsetof(Block, qs));
        JoinPairs<0>(codes + 128, block + offsetof(Block, qs) + 32);
      });
    }

   private:
    QUERN_LANE void Keep(int j, const AffineFit<L>& fit) {
      scale_.Set(j, fit.scale);
      minus_.Set(j, fit.minus);
      inverse_.Set(j, fit.inverse);
      base_.Set(j, fit.base);
      widest_.Set(j, fit.widest);
    }

    QUERN_LANE void FitPlain() {
      Floats<L, 16> weights;
      for (int j = 0; j < 16; ++j) {
        const auto x = tile_.x.template Sub<16>(16 * j);
        for (int i = 0; i < 16; ++i) weights.Set(i, L::Abs(x[i]));
        Keep(j, FitAffine<L, 16, 3, true>(x, weights, {-0.5f, 0.1f, 15}));
      }
    }

    QUERN_LANE void FitWeighted() {
      Floats<L, 16> weights;
      const F mean = SuperBlockMean<L>(tile_.x, 1);
      for (int j = 0; j < 16; ++j) {
        const auto x = tile_.x.template Sub<16>(16 * j);
        WeighSquares<L, 16>(tile_.importance.template Sub<16>(16 * j), x, mean, weights);
        F sum = L::Set(0);
        for (int i = 0; i < 16; ++i) sum = sum + weights[i];
        weight_.Set(j, sum);
        Keep(j, FitAffine<L, 16, 3>(x, weights, {-0.9f, 0.05f, 36}));
      }
    }

    // Levels of 4 bits that map the largest value to 15, and the step between them.
    static QUERN_LANE F RoundScales(const Floats<L, 16>& values, Ints<L, 16>& rounded) {
      F max = L::Set(0);
      for (int j = 0; j < 16; ++j) max = L::Max(values[j], max);
      const auto some = max > L::Set(0);
      const F inverse = L::Set(15) / max;
      for (int j = 0; j < 16; ++j) {
        rounded.Set(j, L::Select(some, NearestInt<L>(inverse * values[j]), L::SetI(0)));
      }
      return L::Select(some, max / L::Set(15), L::Set(0));
    }

    const Tile<L>& tile_;
    Floats<L, 16> scale_, minus_, inverse_, base_, widest_, weight_;
  };
};

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
