// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_TQ1_0_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_TQ1_0_INL_H_
#undef QUERN_KERNELS_FORMATS_TQ1_0_INL_H_
#else
#define QUERN_KERNELS_FORMATS_TQ1_0_INL_H_
#endif

#include "kernels/formats/ternary-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// Five trits a byte as a fraction: byte = ceil(256 / 243 * number), where the first trit is the
// number's highest digit. Weights 0 to 159 lie in qs[0..31], a byte has every 32nd of them; 160 to
// 239 in qs[32..47], every 16th; 240 to 255 in qh, every 4th, with a last trit of 0.
struct TQ1_0 {
  static constexpr Type kType = Type::kTQ1_0;
  using Block = BlockTQ1_0;
  static constexpr int kElems = 256;
  static constexpr bool kRowMean = false;

  template <class L>
  static QUERN_LANE void Encode(const Tile<L>& tile) {
    const Trits<L> trits(tile.x);
    Pack<L, 32, 5>(tile, trits, 0, 0);
    Pack<L, 16, 5>(tile, trits, 160, 32);
    Pack<L, 4, 4>(tile, trits, 240, 48);
    tile.out.Half(52, ToHalf<L>(trits.d));
  }

  static QUERN_LANE void Decode(const Block& block, float* out) {
    const float d = HalfToFloat(block.d);
    Unpack<32, 5>(block.qs, d, out);
    Unpack<16, 5>(block.qs + 32, d, out + 160);
    Unpack<4, 4>(block.qh, d, out + 240);
  }

 private:
  // kBytes bytes of kTrits trits each, of the weights from `first` on.
  template <class L, int kBytes, int kTrits>
  static QUERN_LANE void Pack(const Tile<L>& tile, const Trits<L>& trits, int first, int offset) {
    using I = typename L::I;
    for (int b = 0; b < kBytes; b += 4) {
      I numbers[4] = {L::SetI(0), L::SetI(0), L::SetI(0), L::SetI(0)};
      for (int t = 0; t < 5; ++t) {
        for (I& number : numbers) number = number + number + number;
        if (t >= kTrits) continue;
        const auto x = tile.x.template Sub<4>(first + b + t * kBytes);
        for (int k = 0; k < 4; ++k) numbers[k] = numbers[k] + (trits(x[k]) & L::SetI(0xff));
      }
      for (I& number : numbers) number = Fraction<L>(number & L::SetI(0xff));
      tile.out.Word(offset + b, JoinBytes<L>(numbers[0], numbers[1], numbers[2], numbers[3]));
    }
  }

  // The ceiling is number + ceil(13 / 243 * number); the division as a product, exact here.
  template <class L>
  static HWY_INLINE typename L::I Fraction(typename L::I number) {
    const typename L::I part = L::SetI(13) * number + L::SetI(242);
    return number + L::template Shr<kDivideShift>(part * L::SetI(kDivideFactor));
  }

  template <int kBytes, int kTrits>
  static QUERN_LANE void Unpack(const uint8_t* bytes, float d, float* out) {
    constexpr int kPowers[] = {1, 3, 9, 27, 81};
    for (int t = 0; t < kTrits; ++t) {
      for (int b = 0; b < kBytes; ++b) {
        const int rest = (bytes[b] * kPowers[t]) & 0xff;
        out[t * kBytes + b] = static_cast<float>(((rest * 3) >> 8) - 1) * d;
      }
    }
  }

  static constexpr int kDivideFactor = 1079;
  static constexpr int kDivideShift = 18;
};

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
