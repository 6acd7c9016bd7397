// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_Q6_K_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_Q6_K_INL_H_
#undef QUERN_KERNELS_FORMATS_Q6_K_INL_H_
#else
#define QUERN_KERNELS_FORMATS_Q6_K_INL_H_
#endif

#include <cstddef>

#include "kernels/formats/final_levels-inl.h"
#include "kernels/formats/legacy-inl.h"

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
    tile.out.Half(offsetof(Block, d), half_d);
    Ints<L, 16> rounded;
    FinalLevels<L, 16, -32, 31, false> final_levels;
    for (int j = 0; j < 16; ++j) {
      const I level = L::Min(NearestInt<L>(inverse * scale[j]), L::SetI(127));
      rounded.Set(j, L::Select(zero, L::SetI(0), level));
      final_levels.Set(j, super_d * L::ToFloat(rounded[j]), L::Set(0), fits[j].widest);
    }
    PackBytes<L, 16>(tile.out, offsetof(Block, scales), rounded);
    const auto searched = [&](int j, Ints<L, 16>& codes) HWY_ATTR {
      const auto x = tile.x.template Sub<16>(16 * j);
      for (int i = 0; i < 16; ++i) {
        const I code = SymmetricLevel<L, 32>(fits[j].inverse, fits[j].offset, x[i]);
        codes.Set(i, L::Select(zero, L::SetI(0), code));
      }
    };
    final_levels.Write(tile, searched, [](const uint8_t* codes, uint8_t* block) {
      for (int h = 0; h < 2; ++h) {
        const uint8_t* half = codes + 128 * h;
        JoinNibbles(half, half + 64, 64, block + offsetof(Block, ql) + 64 * h);
        JoinPairs<4>(half, block + offsetof(Block, qh) + 32 * h);
      }
    });
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
    const auto x = tile.x.template Sub<16>(first);
    Floats<L, 16> weights;
    if (tile.weighted) {
      const auto importance = tile.importance.template Sub<16>(first);
      for (int i = 0; i < 16; ++i) weights.Set(i, importance[i]);
    } else {
      for (int i = 0; i < 16; ++i) weights.Set(i, x[i] * x[i]);
    }
    return FitSymmetric<L, 16, 32>(x, weights);
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
