// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_MXFP4_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_MXFP4_INL_H_
#undef QUERN_KERNELS_FORMATS_MXFP4_INL_H_
#else
#define QUERN_KERNELS_FORMATS_MXFP4_INL_H_
#endif

#include "kernels/formats/fp4-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// 32 weights x = kFp4Weights[q] * 2^(e - 128).
struct MXFP4 {
  static constexpr Type kType = Type::kMXFP4;
  using Block = BlockMXFP4;
  static constexpr int kElems = 32;
  static constexpr bool kRowMean = false;

  template <class L>
  static QUERN_LANE void Encode(const Tile<L>& tile) {
    const auto x = tile.x.template Sub<32>(0);
    const typename L::F max = FindExtreme<L, 32>(x).magnitude;
    const typename L::I exponent = FloorLog2<L>(max) + L::SetI(127 - 2);
    const typename L::I e = L::Select(max > L::Set(0), exponent & L::SetI(0xff), L::SetI(0));
    tile.out.Byte(0, e);
    PackFp4<L, 16>(tile.out, 1, x, Scale<L>(e));
  }

  static QUERN_LANE void Decode(const Block& block, float* out) {
    const uint32_t bits = block.e < 2 ? 0x200000u << block.e : (block.e - 1u) << 23;
    UnpackFp4<16>(block.qs, std::bit_cast<float>(bits), out);
  }

 private:
  // 2^(e - 128), subnormal for the two lowest.
  template <class L>
  static QUERN_LANE typename L::F Scale(typename L::I e) {
    const typename L::I normal = L::template Shl<23>(e - L::SetI(1));
    const typename L::I subnormal =
        L::Select(L::Equal(e, L::SetI(0)), L::SetI(0x200000), L::SetI(0x400000));
    return L::FromBits(L::Select(L::Less(e, L::SetI(2)), subnormal, normal));
  }

  // floorf(log2f(x)) of x > 0 as glibc rounds it: for x = 2^k - n units, a unit being 2^(k - 24),
  // the logarithm k - n * 2^-24 / ln(2) rounds to k while n <= ln(2) * 2^b, where 2^b is the power
  // of two in abs(k), or in k - 1 for positive k. Checked against glibc 2.36 for every k.
  template <class L>
  static QUERN_LANE typename L::I FloorLog2(typename L::F x) {
    using F = typename L::F;
    using I = typename L::I;
    const auto subnormal = x < L::Set(0x1p-126f);
    const F scaled = L::Select(subnormal, x * L::Set(0x1p24f), x);
    const I bits = L::Bits(scaled);
    const I floor =
        L::template Shr<23>(bits) - L::Select(subnormal, L::SetI(127 + 24), L::SetI(127));
    const I next = floor + L::SetI(1);
    const I distance = L::Select(L::Less(L::SetI(0), next), next - L::SetI(1), L::SetI(0) - next);
    const I power = L::Bits(L::ToFloat(distance)) & L::SetI(0x7f800000);
    const I units = L::ToInt(L::FromBits(power) * L::Set(0.69314718f));
    const I missing = L::SetI(1 << 23) - (bits & L::SetI(0x7fffff));
    return L::Select(L::Less(units, missing), floor, next);
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
