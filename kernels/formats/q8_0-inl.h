// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_Q8_0_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_Q8_0_INL_H_
#undef QUERN_KERNELS_FORMATS_Q8_0_INL_H_
#else
#define QUERN_KERNELS_FORMATS_Q8_0_INL_H_
#endif

#include "kernels/formats/legacy-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// x = d * q, q from -127 to 127. Importance makes no difference.
struct Q8_0 {
  static constexpr Type kType = Type::kQ8_0;
  using Block = BlockQ8_0;
  static constexpr int kElems = 32;
  static constexpr bool kRowMean = false;

  template <class L>
  static QUERN_LANE void Encode(const Tile<L>& tile) {
    using F = typename L::F;
    const auto x = tile.x.template Sub<32>(0);
    F max = L::Set(0);
    for (int i = 0; i < 32; ++i) max = L::Max(max, L::Abs(x[i]));
    const F d = max / L::Set(127);
    const F inverse = InverseOrZero<L>(d);
    tile.out.Half(0, ToHalf<L>(d));
    for (int i = 0; i < 32; i += 4) {
      const auto code = [&](int k) HWY_ATTR { return RoundAway<L>(x[i + k] * inverse); };
      tile.out.Word(2 + i, JoinBytes<L>(code(0), code(1), code(2), code(3)));
    }
  }

  static QUERN_LANE void Decode(const Block& block, float* out) {
    const float d = HalfToFloat(block.d);
    for (int i = 0; i < 32; ++i) out[i] = static_cast<float>(block.qs[i]) * d;
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
