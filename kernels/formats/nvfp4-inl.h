// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_NVFP4_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_NVFP4_INL_H_
#undef QUERN_KERNELS_FORMATS_NVFP4_INL_H_
#else
#define QUERN_KERNELS_FORMATS_NVFP4_INL_H_
#endif

#include "kernels/formats/fp4-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// Four groups of 16 weights x = kFp4Weights[q] * scale / 2, with scales of E4M3 without a sign.
struct NVFP4 {
  static constexpr Type kType = Type::kNVFP4;
  using Block = BlockNVFP4;
  static constexpr int kElems = 64;
  static constexpr bool kRowMean = false;

  template <class L>
  static QUERN_LANE void Encode(const Tile<L>& tile) {
    for (int group = 0; group < 4; ++group) {
      const auto x = tile.x.template Sub<16>(16 * group);
      const typename L::I code = EncodeScale<L>(FindExtreme<L, 16>(x).magnitude / L::Set(6));
      tile.out.Byte(group, code);
      PackFp4<L, 8>(tile.out, 4 + 8 * group, x, DecodeScale<L>(code));
    }
  }

  static QUERN_LANE void Decode(const Block& block, float* out) {
    for (int group = 0; group < 4; ++group) {
      UnpackFp4<8>(block.qs + 8 * group, DecodeScale<ScalarLane>(block.d[group]), out + 16 * group);
    }
  }

 private:
  static constexpr int kLargest = 0x7e;  // 448

  // Rounds half up, subnormals by the nearest multiple of 2^-9.
  template <class L>
  static QUERN_LANE typename L::I EncodeScale(typename L::F x) {
    using F = typename L::F;
    using I = typename L::I;
    const F capped = L::Min(x, L::Set(448));
    const I subnormal = L::Min(L::ToInt(capped * L::Set(512) + L::Set(0.5f)), L::SetI(7));
    const I bits = L::Bits(capped);
    const I exponent = L::template Shr<23>(bits) - L::SetI(127 - 7);
    const I mantissa = L::template Shr<20>(bits) & L::SetI(7);
    const I round = L::template Shr<19>(bits) & L::SetI(1);
    const I sum = L::template Shl<3>(exponent) + mantissa + round;
    const I normal = L::Select(L::Less(sum, L::SetI(15 << 3)), sum, L::SetI(kLargest));
    const I code = L::Select(L::Less(exponent, L::SetI(1)), subnormal, normal);
    return L::Select(x > L::Set(0), code, L::SetI(0));
  }

  // Half of the scale, for the weights are doubled.
  template <class L>
  static QUERN_LANE typename L::F DecodeScale(typename L::I code) {
    using F = typename L::F;
    using I = typename L::I;
    const I exponent = L::template Shr<3>(code) & L::SetI(15);
    const I mantissa = code & L::SetI(7);
    const F subnormal = L::ToFloat(mantissa) * L::Set(0x1p-10f);
    const F normal = L::FromBits(L::template Shl<23>(exponent + L::SetI(127 - 8)) |
                                 L::template Shl<20>(mantissa));
    const F value = L::Select(L::Equal(exponent, L::SetI(0)), subnormal, normal);
    return L::Select(L::Equal(code, L::SetI(0x7f)), L::Set(0), value);
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
