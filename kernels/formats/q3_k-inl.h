// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_Q3_K_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_Q3_K_INL_H_
#undef QUERN_KERNELS_FORMATS_Q3_K_INL_H_
#else
#define QUERN_KERNELS_FORMATS_Q3_K_INL_H_
#endif

#include <cstddef>

#include "kernels/formats/final_levels-inl.h"
#include "kernels/formats/legacy-inl.h"
#include "kernels/formats/q3_k_plain-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// x = d * (scale[j] - 32) * (q - 4) for the sixteen sub-blocks j of 16 weights. The lower two bits
// of the codes lie as in q2_K; bit b of hmask[i] is the third bit of weight 32 * b + i.
struct Q3_K {
  static constexpr Type kType = Type::kQ3_K;
  using Block = BlockQ3_K;
  static constexpr int kElems = 256;
  static constexpr bool kRowMean = false;

  template <class L>
  static QUERN_LANE void Encode(const Tile<L>& tile) {
    Encoder<L>(tile).Run();
  }

  static QUERN_LANE void Decode(const Block& block, float* out) {
    const float d = HalfToFloat(block.d);
    for (int j = 0; j < 16; ++j) {
      const int low = j < 8 ? block.scales[j] & 15 : block.scales[j - 8] >> 4;
      const int high = (block.scales[8 + j % 4] >> (j / 4 * 2)) & 3;
      const float scale = d * static_cast<float>((low | high << 4) - 32);
      const uint8_t* qs = block.qs + 32 * (j / 8) + 16 * (j % 2);
      const uint8_t* hmask = block.hmask + 16 * (j % 2);
      for (int i = 0; i < 16; ++i) {
        const int code = ((qs[i] >> (j / 2 % 4 * 2)) & 3) | ((hmask[i] >> (j / 2)) & 1) << 2;
        out[16 * j + i] = scale * static_cast<float>(code - 4);
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
      Ints<L, 16> scale;  // 0 to 63
      const F d = tile_.weighted ? FitWeighted(scale) : FitPlain(scale);
      WriteScales(scale);
      const I half_d = ToHalf<L>(d);
      tile_.out.Half(offsetof(Block, d), half_d);
      FinalLevels<L, 16, -4, 3, false> final_levels;
      for (int j = 0; j < 16; ++j) {
        const F step = FromHalf<L>(half_d) * L::ToFloat(scale[j] - L::SetI(32));
        final_levels.Set(j, step, L::Set(0), widest_[j]);
      }
      const auto searched = [&](int j, Ints<L, 16>& codes) HWY_ATTR {
        const In<L> x = tile_.x.From(16 * j);
        PlainLevels<L> plain;
        if (!tile_.weighted) {
          plain.Round(x);
          plain.MoveAll(x);
        }
        for (int i = 0; i < 16; ++i) {
          codes.Set(i, tile_.weighted ? SymmetricLevel<L, 4>(inverse_[j], offset_[j], x[i])
                                      : plain.Code(i));
        }
      };
      final_levels.Write(tile_, searched, [](const uint8_t* codes, uint8_t* block) {
        JoinTops<2>(codes, block + offsetof(Block, hmask));
        JoinPairs<0>(codes, block + offsetof(Block, qs));
        JoinPairs<0>(codes + 128, block + offsetof(Block, qs) + 32);
      });
    }

   private:
    QUERN_LANE F FitPlain(Ints<L, 16>& rounded) {
      Floats<L, 16> scale;
      PlainFit<L>(tile_, scale, widest_).Run();
      const F max = FindExtreme<L, 16>(scale).value;
      const auto none = max == L::Set(0);
      const F inverse = L::Set(-32) / max;
      for (int j = 0; j < 16; ++j) {
        const I level = Clamp<L>(NearestInt<L>(inverse * scale[j]), -32, 31) + L::SetI(32);
        rounded.Set(j, L::Select(none, L::SetI(0), level));
      }
      return L::Select(none, L::Set(0), L::Set(1) / inverse);
    }

    QUERN_LANE F FitWeighted(Ints<L, 16>& rounded) {
      Floats<L, 16> weights, scale, sum;
      const F mean = SuperBlockMean<L>(tile_.x, 2);
      for (int j = 0; j < 16; ++j) {
        const In<L> x = tile_.x.From(16 * j);
        WeighSquares<L, 16>(tile_.importance.From(16 * j), x, mean, weights);
        F total = L::Set(0);
        for (int i = 0; i < 16; ++i) total = total + weights[i];
        sum.Set(j, total);
        const SymmetricFit<L> fit = FitSymmetric<L, 16, 4>(x, weights);
        scale.Set(j, fit.scale);
        inverse_.Set(j, fit.inverse);
        offset_.Set(j, fit.offset);
        widest_.Set(j, fit.widest);
      }
      // A matrix with huge numbers makes infinite sums, and scales that are no numbers.
      const SymmetricFit<L> fit = FitSymmetric<L, 16, 32, false>(scale, sum);
      for (int j = 0; j < 16; ++j) {
        rounded.Set(j, SymmetricLevel<L, 32>(fit.inverse, fit.offset, scale[j]));
      }
      return fit.scale;
    }

    QUERN_LANE void WriteScales(const Ints<L, 16>& scale) {
      PackNibbles<L, 8>(tile_.out, offsetof(Block, scales), scale, 0, 8);
      const auto upper = [&](int k) HWY_ATTR {
        const auto two = [&](int j) HWY_ATTR { return L::template Shr<4>(scale[j]) & L::SetI(3); };
        return two(k) | L::template Shl<2>(two(k + 4)) | L::template Shl<4>(two(k + 8)) |
               L::template Shl<6>(two(k + 12));
      };
      tile_.out.Word(offsetof(Block, scales) + 8,
                     JoinBytes<L>(upper(0), upper(1), upper(2), upper(3)));
    }

    const Tile<L>& tile_;
    Floats<L, 16> widest_, inverse_;
    Ints<L, 16> offset_;
  };
};

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
