// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_IQ4_NL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_IQ4_NL_INL_H_
#undef QUERN_KERNELS_FORMATS_IQ4_NL_INL_H_
#else
#define QUERN_KERNELS_FORMATS_IQ4_NL_INL_H_
#endif

#include "kernels/formats/iq4-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// x = d * kIq4Weights[q]; the codes lie as in q4_0.
struct IQ4_NL {
  static constexpr Type kType = Type::kIQ4_NL;
  using Block = BlockIQ4_NL;
  static constexpr int kElems = 32;
  static constexpr bool kRowMean = false;
  static constexpr bool kIq4 = true;

  template <class L>
  static QUERN_LANE void Encode(const Tile<L>& tile) {
    using F = typename L::F;
    const auto x = tile.x.template Sub<32>(0);
    F sum = L::Set(0);
    for (int i = 0; i < 32; ++i) sum = sum + x[i] * x[i];
    Floats<L, 32> weights;
    WeighOrSquare<L, 32>(tile, 0, x, sum * L::Set(2.0f / 32), weights);
    const F d = FitIq4<L>(x, weights);
    tile.out.Half(0, ToHalf<L>(d));
    PackIq4<L>(tile.out, 2, x, InverseOrZero<L>(d));
  }

  static QUERN_LANE void Decode(const Block& block, float* out) {
    UnpackIq4(block.qs, HalfToFloat(block.d), out);
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
