// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_FLOATS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_FLOATS_INL_H_
#undef QUERN_KERNELS_FORMATS_FLOATS_INL_H_
#else
#define QUERN_KERNELS_FORMATS_FLOATS_INL_H_
#endif

#include "kernels/formats/rounding-inl.h"
#include "kernels/half.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// f16 and bf16, and f64 for reading: numbers that stand for themselves. Lanes are neighbours here.
template <class L>
void EncodeF16(const float* in, int64_t count, uint16_t* out) {
  int64_t i = 0;
  for (; L::kMax > 1 && i + L::kMax <= count; i += L::kMax)
    L::StoreHalves(ToHalf<L>(L::LoadNear(in + i)), out + i);
  for (; i < count; ++i) out[i] = FloatToHalf(in[i]);
}

template <class L>
void DecodeF16(const uint16_t* in, int64_t count, float* out) {
  int64_t i = 0;
  for (; L::kMax > 1 && i + L::kMax <= count; i += L::kMax) {
    L::StoreNear(FromHalf<L>(L::LoadHalves(in + i)), out + i);
  }
  for (; i < count; ++i) out[i] = HalfToFloat(in[i]);
}

template <class L>
void EncodeBf16(const float* in, int64_t count, uint16_t* out) {
  using I = typename L::I;
  int64_t i = 0;
  for (; L::kMax > 1 && i + L::kMax <= count; i += L::kMax) {
    const I bits = L::Bits(L::LoadNear(in + i));
    const I upper = L::template Shr<16>(bits);
    const I odd = upper & L::SetI(1);
    const I number = L::template Shr<16>(bits + L::SetI(0x7fff) + odd);
    const auto nan = L::Less(L::SetI(0x7f800000), bits & L::SetI(0x7fffffff));
    L::StoreHalves(L::Select(nan, upper | L::SetI(0x40), number), out + i);
  }
  for (; i < count; ++i) out[i] = FloatToBf16(in[i]);
}

template <class L>
void DecodeBf16(const uint16_t* in, int64_t count, float* out) {
  int64_t i = 0;
  for (; L::kMax > 1 && i + L::kMax <= count; i += L::kMax) {
    L::StoreNear(L::FromBits(L::template Shl<16>(L::LoadHalves(in + i))), out + i);
  }
  for (; i < count; ++i) out[i] = Bf16ToFloat(in[i]);
}

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
