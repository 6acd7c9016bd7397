#include "kernels/encode.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/codec_small.cc"
// clang-format off: foreach_target.h includes this file once per target, so it stands first.
#include <hwy/foreach_target.h>
// clang-format on
#include "kernels/encode-inl.h"
#include "kernels/formats/iq4_nl-inl.h"
#include "kernels/formats/iq4_xs-inl.h"
#include "kernels/formats/mxfp4-inl.h"
#include "kernels/formats/nvfp4-inl.h"
#include "kernels/formats/q1_0-inl.h"
#include "kernels/formats/q2_0-inl.h"
#include "kernels/formats/tq1_0-inl.h"
#include "kernels/formats/tq2_0-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {
namespace {

bool EncodeSmall(Type type, const EncodeJob& job) {
  switch (type) {
    case Type::kQ1_0:
      EncodeBlocks<Q1_0, Lane>(job);
      return true;
    case Type::kQ2_0:
      EncodeBlocks<Q2_0, Lane>(job);
      return true;
    case Type::kTQ1_0:
      EncodeBlocks<TQ1_0, Lane>(job);
      return true;
    case Type::kTQ2_0:
      EncodeBlocks<TQ2_0, Lane>(job);
      return true;
    case Type::kMXFP4:
      EncodeBlocks<MXFP4, Lane>(job);
      return true;
    case Type::kNVFP4:
      EncodeBlocks<NVFP4, Lane>(job);
      return true;
    case Type::kIQ4_NL:
      EncodeBlocks<IQ4_NL, Lane>(job);
      return true;
    case Type::kIQ4_XS:
      EncodeBlocks<IQ4_XS, Lane>(job);
      return true;
    default:
      return false;
  }
}

bool DecodeSmall(Type type, const uint8_t* in, int64_t count, float* out) {
  switch (type) {
    case Type::kQ1_0:
      DecodeBlocks<Q1_0>(in, count, out);
      return true;
    case Type::kQ2_0:
      DecodeBlocks<Q2_0>(in, count, out);
      return true;
    case Type::kTQ1_0:
      DecodeBlocks<TQ1_0>(in, count, out);
      return true;
    case Type::kTQ2_0:
      DecodeBlocks<TQ2_0>(in, count, out);
      return true;
    case Type::kMXFP4:
      DecodeBlocks<MXFP4>(in, count, out);
      return true;
    case Type::kNVFP4:
      DecodeBlocks<NVFP4>(in, count, out);
      return true;
    case Type::kIQ4_NL:
      DecodeBlocks<IQ4_NL>(in, count, out);
      return true;
    case Type::kIQ4_XS:
      DecodeBlocks<IQ4_XS>(in, count, out);
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

HWY_EXPORT(EncodeSmall);
HWY_EXPORT(DecodeSmall);

bool EncodeSmall(Type type, const EncodeJob& job) {
  return HWY_DYNAMIC_DISPATCH(EncodeSmall)(type, job);
}

bool DecodeSmall(Type type, const uint8_t* in, int64_t count, float* out) {
  return HWY_DYNAMIC_DISPATCH(DecodeSmall)(type, in, count, out);
}

}  // namespace quern
#endif  // HWY_ONCE
