// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_FLOATS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_FLOATS_INL_H_
#undef QUERN_KERNELS_FORMATS_FLOATS_INL_H_
#else
#define QUERN_KERNELS_FORMATS_FLOATS_INL_H_
#endif

#include <cstring>

#include "kernels/formats/rounding-inl.h"
#include "kernels/half.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// Numbers that stand for themselves. Lanes are neighbours here.

struct F32 {
  static constexpr Type kType = Type::kF32;

  template <class L>
  static QUERN_LANE void EncodeAll(const float* in, int64_t count, uint8_t* out) {
    std::memcpy(out, in, static_cast<size_t>(count) * sizeof(float));
  }
  template <class L>
  static QUERN_LANE void DecodeAll(const uint8_t* in, int64_t count, float* out) {
    std::memcpy(out, in, static_cast<size_t>(count) * sizeof(float));
  }
};

struct F16 {
  static constexpr Type kType = Type::kF16;

  template <class L>
  static QUERN_LANE void EncodeAll(const float* in, int64_t count, uint8_t* out) {
    auto* halves = reinterpret_cast<uint16_t*>(out);
    int64_t i = 0;
    for (; L::kMax > 1 && i + L::kMax <= count; i += L::kMax)
      L::StoreHalves(ToHalf<L>(L::LoadNear(in + i)), halves + i);
    for (; i < count; ++i) halves[i] = FloatToHalf(in[i]);
  }
  template <class L>
  static QUERN_LANE void DecodeAll(const uint8_t* in, int64_t count, float* out) {
    const auto* halves = reinterpret_cast<const uint16_t*>(in);
    int64_t i = 0;
    for (; L::kMax > 1 && i + L::kMax <= count; i += L::kMax) {
      L::StoreNear(FromHalf<L>(L::LoadHalves(halves + i)), out + i);
    }
    for (; i < count; ++i) out[i] = HalfToFloat(halves[i]);
  }
};

struct BF16 {
  static constexpr Type kType = Type::kBF16;

  template <class L>
  static QUERN_LANE void EncodeAll(const float* in, int64_t count, uint8_t* out) {
    using I = typename L::I;
    auto* halves = reinterpret_cast<uint16_t*>(out);
    int64_t i = 0;
    for (; L::kMax > 1 && i + L::kMax <= count; i += L::kMax) {
      const I bits = L::Bits(L::LoadNear(in + i));
      const I upper = L::template Shr<16>(bits);
      const I odd = upper & L::SetI(1);
      const I number = L::template Shr<16>(bits + L::SetI(0x7fff) + odd);
      const auto nan = L::Less(L::SetI(0x7f800000), bits & L::SetI(0x7fffffff));
      L::StoreHalves(L::Select(nan, upper | L::SetI(0x40), number), halves + i);
    }
    for (; i < count; ++i) halves[i] = FloatToBf16(in[i]);
  }
  template <class L>
  static QUERN_LANE void DecodeAll(const uint8_t* in, int64_t count, float* out) {
    const auto* halves = reinterpret_cast<const uint16_t*>(in);
    int64_t i = 0;
    for (; L::kMax > 1 && i + L::kMax <= count; i += L::kMax) {
      L::StoreNear(L::FromBits(L::template Shl<16>(L::LoadHalves(halves + i))), out + i);
    }
    for (; i < count; ++i) out[i] = Bf16ToFloat(halves[i]);
  }
};

// Only read.
struct F64 {
  static constexpr Type kType = Type::kF64;

  template <class L>
  static QUERN_LANE void DecodeAll(const uint8_t* in, int64_t count, float* out) {
    for (int64_t i = 0; i < count; ++i) {
      double value;
      std::memcpy(&value, in + 8 * i, sizeof(value));
      out[i] = static_cast<float>(value);
    }
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
