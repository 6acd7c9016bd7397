// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_Q6_K_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_Q6_K_INL_H_
#undef QUERN_KERNELS_FORMATS_Q6_K_INL_H_
#else
#define QUERN_KERNELS_FORMATS_Q6_K_INL_H_
#endif

#include "kernels/formats/k_affine-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// x = d * scales[j] * (q - 32) for the sixteen sub-blocks j of 16 weights. In each half h of 128
// weights, byte i < 64 of ql holds the lower nibbles of weights i and i + 64, and byte i < 32 of qh
// the upper two bits of weights i + {0, 32, 64, 96}.
struct Q6_K {
  static constexpr Type kType = Type::kQ6_K;
  using Block = BlockQ6_K;
  static constexpr int kElems = 256;
  static constexpr bool kRowMean = false;

  template <class L>
  static QUERN_LANE void Encode(const Tile<L>& tile) {
    using F = typename L::F;
    using I = typename L::I;
    SymmetricFit<L> fits[16];
    Floats<L, 16> scale;
    for (int j = 0; j < 16; ++j) {
      fits[j] = FitSubBlock<L>(tile, 16 * j);
      scale.Set(j, fits[j].scale);
    }
    const Extreme<L> widest = FindExtreme<L, 16>(scale);
    const auto zero = widest.magnitude < L::Set(kZeroGroup);
    const F inverse = L::Set(-128) / widest.value;
    const I half_d = L::Select(zero, L::SetI(0), ToHalf<L>(L::Set(1) / inverse));
    const F super_d = FromHalf<L>(half_d);
    Ints<L, 256> levels;
    Ints<L, 16> rounded;
    for (int j = 0; j < 16; ++j) {
      const I level = L::Min(NearestInt<L>(inverse * scale[j]), L::SetI(127));
      rounded.Set(j, L::Select(zero, L::SetI(0), level));
      Requantize<L>(tile.x.From(16 * j), super_d * L::ToFloat(rounded[j]), fits[j], zero, 16 * j,
                    levels);
    }
    for (int h = 0; h < 2; ++h) {
      PackNibbles<L, 64>(tile.out, 64 * h, levels, 128 * h, 128 * h + 64);
      PackUpper<L>(tile.out, 128 + 32 * h, levels, 128 * h);
    }
    PackBytes<L, 16>(tile.out, 192, rounded);
    tile.out.Half(208, half_d);
  }

  static QUERN_LANE void Decode(const Block& block, float* out) {
    const float d = HalfToFloat(block.d);
    for (int h = 0; h < 2; ++h) {
      for (int k = 0; k < 8; ++k) {
        const float scale = d * static_cast<float>(block.scales[8 * h + k]);
        const uint8_t* ql = block.ql + 64 * h + 16 * (k % 4);
        const uint8_t* qh = block.qh + 32 * h + 16 * (k % 2);
        const int low_shift = k / 4 * 4;
        const int high_shift = k / 2 * 2;
        for (int i = 0; i < 16; ++i) {
          const int code = ((ql[i] >> low_shift) & 15) | ((qh[i] >> high_shift) & 3) << 4;
          out[128 * h + 16 * k + i] = scale * static_cast<float>(code - 32);
        }
      }
    }
  }

 private:
  // The weights of the squares are the importance itself, or x^2.
  template <class L>
  static QUERN_LANE SymmetricFit<L> FitSubBlock(const Tile<L>& tile, int first) {
    const In<L> x = tile.x.From(first);
    Floats<L, 16> weights;
    for (int i = 0; i < 16; ++i) {
      weights.Set(i, tile.weighted ? tile.importance[first + i] : x[i] * x[i]);
    }
    return FitSymmetric<L, 16, 32>(x, weights);
  }

  // The final levels, for the scale as it is stored. Where that came out as 0 the levels of the
  // search stay; where the super-block is `zero`, they are 0.
  template <class L>
  static QUERN_LANE void Requantize(const In<L>& x, typename L::F d, const SymmetricFit<L>& fit,
                                    typename L::M zero, int first, Ints<L, 256>& levels) {
    using I = typename L::I;
    QuotientLevels<L, 16>(
        d, -32, 31, [&](int i) HWY_ATTR { return x[i]; },
        [&](int i, I level) HWY_ATTR { levels.Set(first + i, level + L::SetI(32)); });
    const auto stays = d == L::Set(0);
    if (!L::Any(stays)) return;
    for (int i = 0; i < 16; ++i) {
      const I searched = SymmetricLevel<L, 32>(fit.inverse, fit.offset, x[i]);
      const I chosen = L::Select(stays, searched, levels[first + i]);
      levels.Set(first + i, L::Select(zero, L::SetI(0), chosen));
    }
  }

  template <class L>
  static QUERN_LANE void PackUpper(const Out<L>& out, int offset, const Ints<L, 256>& levels,
                                   int first) {
    for (int b = 0; b < 32; b += 4) {
      const auto byte = [&](int k) HWY_ATTR {
        const int i = first + b + k;
        return L::template Shr<4>(levels[i]) |
               L::template Shl<2>(L::template Shr<4>(levels[i + 32])) |
               L::template Shl<4>(L::template Shr<4>(levels[i + 64])) |
               L::template Shl<6>(L::template Shr<4>(levels[i + 96]));
      };
      out.Word(offset + b, JoinBytes<L>(byte(0), byte(1), byte(2), byte(3)));
    }
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
