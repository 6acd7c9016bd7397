#include "kernels/encode.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/codec_legacy.cc"
// clang-format off: foreach_target.h includes this file once per target, so it stands first.
#include <hwy/foreach_target.h>
// clang-format on
#include "kernels/encode-inl.h"
#include "kernels/formats/q4_0-inl.h"
#include "kernels/formats/q4_1-inl.h"
#include "kernels/formats/q5_0-inl.h"
#include "kernels/formats/q5_1-inl.h"
#include "kernels/formats/q8_0-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {
namespace {

bool EncodeLegacy(Type type, const EncodeJob& job) {
  switch (type) {
    case Type::kQ4_0:
      EncodeBlocks<Q4_0, Lane>(job);
      return true;
    case Type::kQ4_1:
      EncodeBlocks<Q4_1, Lane>(job);
      return true;
    case Type::kQ5_0:
      EncodeBlocks<Q5_0, Lane>(job);
      return true;
    case Type::kQ5_1:
      EncodeBlocks<Q5_1, Lane>(job);
      return true;
    case Type::kQ8_0:
      EncodeBlocks<Q8_0, Lane>(job);
      return true;
    default:
      return false;
  }
}

bool DecodeLegacy(Type type, const uint8_t* in, int64_t count, float* out) {
  switch (type) {
    case Type::kQ4_0:
      DecodeBlocks<Q4_0>(in, count, out);
      return true;
    case Type::kQ4_1:
      DecodeBlocks<Q4_1>(in, count, out);
      return true;
    case Type::kQ5_0:
      DecodeBlocks<Q5_0>(in, count, out);
      return true;
    case Type::kQ5_1:
      DecodeBlocks<Q5_1>(in, count, out);
      return true;
    case Type::kQ8_0:
      DecodeBlocks<Q8_0>(in, count, out);
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

HWY_EXPORT(EncodeLegacy);
HWY_EXPORT(DecodeLegacy);

bool EncodeLegacy(Type type, const EncodeJob& job) {
  return HWY_DYNAMIC_DISPATCH(EncodeLegacy)(type, job);
}

bool DecodeLegacy(Type type, const uint8_t* in, int64_t count, float* out) {
  return HWY_DYNAMIC_DISPATCH(DecodeLegacy)(type, in, count, out);
}

}  // namespace quern
#endif  // HWY_ONCE
