// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_Q3_K_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_Q3_K_INL_H_
#undef QUERN_KERNELS_FORMATS_Q3_K_INL_H_
#else
#define QUERN_KERNELS_FORMATS_Q3_K_INL_H_
#endif

#include "kernels/formats/k_affine-inl.h"
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
    Ints<L, 256> levels;
    Encoder<L>(tile, levels).Run();
    for (int i = 0; i < 32; i += 4) {
      const auto third = [&](int k) HWY_ATTR {
        typename L::I bits = L::SetI(0);
        for (int b = 7; b >= 0; --b) {
          bits = L::template Shl<1>(bits) | L::template Shr<2>(levels[32 * b + i + k]);
        }
        return bits;
      };
      tile.out.Word(i, JoinBytes<L>(third(0), third(1), third(2), third(3)));
    }
    PackPairs<L>(tile.out, 32, levels, 0);
    PackPairs<L>(tile.out, 64, levels, 128);
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
    QUERN_LANE Encoder(const Tile<L>& tile, Ints<L, 256>& levels) : tile_(tile), levels_(levels) {}

    QUERN_LANE void Run() {
      Ints<L, 16> scale;  // 0 to 63
      const F d = tile_.weighted ? FitWeighted(scale) : FitPlain(scale);
      WriteScales(scale);
      const I half_d = ToHalf<L>(d);
      tile_.out.Half(108, half_d);
      for (int j = 0; j < 16; ++j) Requantize(j, FromHalf<L>(half_d), scale[j]);
    }

   private:
    QUERN_LANE F FitPlain(Ints<L, 16>& rounded) {
      Floats<L, 16> scale;
      PlainFit<L>(tile_.x, levels_, scale).Run();
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
        for (int i = 0; i < 16; ++i) {
          levels_.Set(16 * j + i, SymmetricLevel<L, 4>(fit.inverse, fit.offset, x[i]));
        }
      }
      const SymmetricFit<L> fit = FitSymmetric<L, 16, 32>(scale, sum);
      for (int j = 0; j < 16; ++j) {
        rounded.Set(j, SymmetricLevel<L, 32>(fit.inverse, fit.offset, scale[j]));
      }
      return fit.scale;
    }

    QUERN_LANE void WriteScales(const Ints<L, 16>& scale) {
      PackNibbles<L, 8>(tile_.out, 96, scale, 0, 8);
      const auto upper = [&](int k) HWY_ATTR {
        const auto two = [&](int j) HWY_ATTR { return L::template Shr<4>(scale[j]) & L::SetI(3); };
        return two(k) | L::template Shl<2>(two(k + 4)) | L::template Shl<4>(two(k + 8)) |
               L::template Shl<6>(two(k + 12));
      };
      tile_.out.Word(104, JoinBytes<L>(upper(0), upper(1), upper(2), upper(3)));
    }

    // See AffineSuperBlock::Requantize.
    QUERN_LANE void Requantize(int j, F super_d, I scale) {
      const F d = super_d * L::ToFloat(scale - L::SetI(32));
      const auto stays = d == L::Set(0);
      const In<L> x = tile_.x.From(16 * j);
      Ints<L, 16> found;
      QuotientLevels<L, 16>(
          d, -4, 3, [&](int i) HWY_ATTR { return x[i]; },
          [&](int i, I level) HWY_ATTR { found.Set(i, level + L::SetI(4)); });
      for (int i = 0; i < 16; ++i) {
        levels_.Set(16 * j + i, L::Select(stays, levels_[16 * j + i], found[i]));
      }
    }

    const Tile<L>& tile_;
    Ints<L, 256>& levels_;
  };
};

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
