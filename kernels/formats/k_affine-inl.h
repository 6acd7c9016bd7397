// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_K_AFFINE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_K_AFFINE_INL_H_
#undef QUERN_KERNELS_FORMATS_K_AFFINE_INL_H_
#else
#define QUERN_KERNELS_FORMATS_K_AFFINE_INL_H_
#endif

#include "kernels/formats/final_levels-inl.h"
#include "kernels/formats/legacy-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// What q4_K and q5_K share: eight sub-blocks of 32 weights, x ~ d * scale[j] * q - dmin * min[j]
// with scales and minima of 6 bits.

// Weights of the squares without an importance matrix: rms of the 32 plus the magnitude.
template <class L, class X>
HWY_INLINE void WeighMagnitudes(const X& x, Floats<L, 32>& weights) {
  typename L::F sum = L::Set(0);
  for (int i = 0; i < 32; ++i) sum = sum + x[i] * x[i];
  const typename L::F rms = L::Sqrt(sum / L::Set(32));
  for (int i = 0; i < 32; ++i) weights.Set(i, rms + L::Abs(x[i]));
}

// Twelve bytes of eight 6-bit scales and minima; here they are bytes whose upper bits may be set.
template <class L>
struct PackedScales {
  Ints<L, 12> bytes;

  QUERN_LANE void Pack(const Ints<L, 8>& scale, const Ints<L, 8>& min) {
    const auto high = [](typename L::I v) HWY_ATTR {
      return L::template Shl<6>(L::template Shr<4>(v)) & L::SetI(0xff);
    };
    for (int j = 0; j < 4; ++j) {
      bytes.Set(j, scale[j] | high(scale[j + 4]));
      bytes.Set(j + 4, min[j] | high(min[j + 4]));
      bytes.Set(j + 8, (scale[j + 4] & L::SetI(15)) | L::template Shl<4>(min[j + 4] & L::SetI(15)));
    }
  }
  QUERN_LANE typename L::I Scale(int j) const {
    return j < 4 ? bytes[j] & L::SetI(63)
                 : (bytes[j + 4] & L::SetI(15)) |
                       L::template Shl<4>(L::template Shr<6>(bytes[j - 4]));
  }
  QUERN_LANE typename L::I Min(int j) const {
    return j < 4 ? bytes[j + 4] & L::SetI(63)
                 : L::template Shr<4>(bytes[j + 4]) |
                       L::template Shl<4>(L::template Shr<6>(bytes[j]));
  }
};

// The eight fits of a super-block.
template <class L>
struct SubBlockFits {
  Floats<L, 8> scale, minus, inverse, base, widest, weight;
};

// Writes d, dmin and the scales to bytes 0 to 15 and hands on the levels 0 to kTop.
template <class L, int kTop>
class AffineSuperBlock {
  using F = typename L::F;
  using I = typename L::I;

 public:
  explicit QUERN_LANE AffineSuperBlock(const Tile<L>& tile) : tile_(tile) {}

  // `plain` are the trials without an importance matrix. For `pack` see FinalLevels.
  template <class Pack>
  QUERN_LANE void Run(AffineTrials plain, bool clamp_scales, const Pack& pack) {
    Ints<L, 8> scale, min;
    F d, dmin;
    if (tile_.weighted) {
      FitWeighted();
      d = FitPositive<L, 8, 63>(fits_.scale, fits_.weight, scale);
      dmin = FitPositive<L, 8, 63>(fits_.minus, fits_.weight, min);
    } else {
      FitPlain(plain);
      d = RoundScales(fits_.scale, scale);
      dmin = RoundScales(fits_.minus, min);
    }
    if (clamp_scales) {
      for (int j = 0; j < 8; ++j) {
        scale.Set(j, L::Min(scale[j], L::SetI(63)));
        min.Set(j, L::Min(min[j], L::SetI(63)));
      }
    }
    PackedScales<L> packed;
    packed.Pack(scale, min);
    const I half_d = ToHalf<L>(d);
    const I half_dmin = ToHalf<L>(dmin);
    tile_.out.Half(0, half_d);
    tile_.out.Half(2, half_dmin);
    PackBytes<L, 12>(tile_.out, 4, packed.bytes);
    FinalLevels<L, 8, 0, kTop, true> final_levels;
    for (int j = 0; j < 8; ++j) {
      final_levels.Set(j, FromHalf<L>(half_d) * L::ToFloat(packed.Scale(j)),
                       FromHalf<L>(half_dmin) * L::ToFloat(packed.Min(j)), fits_.widest[j]);
    }
    const auto searched = [&](int j, Ints<L, 32>& codes) HWY_ATTR {
      const auto x = tile_.x.template Sub<32>(32 * j);
      for (int i = 0; i < 32; ++i) {
        codes.Set(i, AffineLevel<L, kTop>(fits_.inverse[j], fits_.base[j], x[i]));
      }
    };
    final_levels.Write(tile_, searched, pack);
  }

 private:
  QUERN_LANE void Keep(int j, const AffineFit<L>& fit) {
    fits_.scale.Set(j, fit.scale);
    fits_.minus.Set(j, fit.minus);
    fits_.inverse.Set(j, fit.inverse);
    fits_.base.Set(j, fit.base);
    fits_.widest.Set(j, fit.widest);
  }

  QUERN_LANE void FitPlain(AffineTrials trials) {
    Floats<L, 32> weights;
    for (int j = 0; j < 8; ++j) {
      const auto x = tile_.x.template Sub<32>(32 * j);
      WeighMagnitudes<L>(x, weights);
      Keep(j, FitAffine<L, 32, kTop>(x, weights, trials));
    }
  }

  QUERN_LANE void FitWeighted() {
    Floats<L, 32> weights;
    const F mean = SuperBlockMean<L>(tile_.x, 2);
    for (int j = 0; j < 8; ++j) {
      const auto x = tile_.x.template Sub<32>(32 * j);
      WeighSquares<L, 32>(tile_.importance.template Sub<32>(32 * j), x, mean, weights);
      F sum = L::Set(0);
      for (int i = 0; i < 32; ++i) sum = sum + weights[i];
      fits_.weight.Set(j, sum);
      Keep(j, FitAffine<L, 32, kTop>(x, weights, {-0.9f, 0.05f, 36}));
    }
  }

  // Levels of 6 bits that map the largest value to 63, and the step between them.
  static QUERN_LANE F RoundScales(const Floats<L, 8>& values, Ints<L, 8>& rounded) {
    F max = L::Set(0);
    for (int j = 0; j < 8; ++j) max = L::Max(values[j], max);
    const F inverse = L::Select(max > L::Set(0), L::Set(63) / max, L::Set(0));
    for (int j = 0; j < 8; ++j) {
      const I level = NearestInt<L>(inverse * values[j]) & L::SetI(0xff);
      rounded.Set(j, L::Min(level, L::SetI(63)));
    }
    return max / L::Set(63);
  }

  const Tile<L>& tile_;
  SubBlockFits<L> fits_;
};

// Scale and minimum of sub-block j as PackedScales stores them.
inline QUERN_LANE void UnpackScaleAndMin(const uint8_t* bytes, int j, float* scale, float* min) {
  if (j < 4) {
    *scale = static_cast<float>(bytes[j] & 63);
    *min = static_cast<float>(bytes[j + 4] & 63);
  } else {
    *scale = static_cast<float>((bytes[j + 4] & 15) | (bytes[j - 4] >> 6) << 4);
    *min = static_cast<float>((bytes[j + 4] >> 4) | (bytes[j] >> 6) << 4);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
