#include "kernels/encode.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/codec_iq.cc"
// clang-format off: foreach_target.h includes this file once per target, so it stands first.
#include <hwy/foreach_target.h>
// clang-format on
#include "kernels/encode-inl.h"
#include "kernels/formats/iq1_m-inl.h"
#include "kernels/formats/iq1_s-inl.h"
#include "kernels/formats/iq2_s-inl.h"
#include "kernels/formats/iq2_xs-inl.h"
#include "kernels/formats/iq2_xxs-inl.h"
#include "kernels/formats/iq3_s-inl.h"
#include "kernels/formats/iq3_xxs-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {
namespace {

bool EncodeIq(Type type, const EncodeJob& job) {
  switch (type) {
    case Type::kIQ1_M:
      EncodeBlocks<IQ1_M, Lane>(job);
      return true;
    case Type::kIQ1_S:
      EncodeBlocks<IQ1_S, Lane>(job);
      return true;
    case Type::kIQ2_S:
      EncodeBlocks<IQ2_S, Lane>(job);
      return true;
    case Type::kIQ2_XS:
      EncodeBlocks<IQ2_XS, Lane>(job);
      return true;
    case Type::kIQ2_XXS:
      EncodeBlocks<IQ2_XXS, Lane>(job);
      return true;
    case Type::kIQ3_S:
      EncodeBlocks<IQ3_S, Lane>(job);
      return true;
    case Type::kIQ3_XXS:
      EncodeBlocks<IQ3_XXS, Lane>(job);
      return true;
    default:
      return false;
  }
}

bool DecodeIq(Type type, const uint8_t* in, int64_t count, float* out) {
  switch (type) {
    case Type::kIQ1_M:
      DecodeBlocks<IQ1_M>(in, count, out);
      return true;
    case Type::kIQ1_S:
      DecodeBlocks<IQ1_S>(in, count, out);
      return true;
    case Type::kIQ2_S:
      DecodeBlocks<IQ2_S>(in, count, out);
      return true;
    case Type::kIQ2_XS:
      DecodeBlocks<IQ2_XS>(in, count, out);
      return true;
    case Type::kIQ2_XXS:
      DecodeBlocks<IQ2_XXS>(in, count, out);
      return true;
    case Type::kIQ3_S:
      DecodeBlocks<IQ3_S>(in, count, out);
      return true;
    case Type::kIQ3_XXS:
      DecodeBlocks<IQ3_XXS>(in, count, out);
      return true;
    default:
      return false;
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace quern {

HWY_EXPORT(EncodeIq);
HWY_EXPORT(DecodeIq);

bool EncodeIq(Type type, const EncodeJob& job) { return HWY_DYNAMIC_DISPATCH(EncodeIq)(type, job); }

bool DecodeIq(Type type, const uint8_t* in, int64_t count, float* out) {
  return HWY_DYNAMIC_DISPATCH(DecodeIq)(type, in, count, out);
}

}  // namespace quern
#endif  // HWY_ONCE
