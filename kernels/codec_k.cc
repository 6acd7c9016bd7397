#include "kernels/encode.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/codec_k.cc"
// clang-format off: foreach_target.h includes this file once per target, so it stands first.
#include <hwy/foreach_target.h>
// clang-format on
#include "kernels/encode-inl.h"
#include "kernels/formats/q2_k-inl.h"
#include "kernels/formats/q3_k-inl.h"
#include "kernels/formats/q4_k-inl.h"
#include "kernels/formats/q5_k-inl.h"
#include "kernels/formats/q6_k-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {
namespace {

bool EncodeK(Type type, const EncodeJob& job) {
  switch (type) {
    case Type::kQ2_K:
      EncodeBlocks<Q2_K, WideLane>(job);
      return true;
    case Type::kQ3_K:
      EncodeBlocks<Q3_K, WideLane>(job);
      return true;
    case Type::kQ4_K:
      EncodeBlocks<Q4_K, WideLane>(job);
      return true;
    case Type::kQ5_K:
      EncodeBlocks<Q5_K, WideLane>(job);
      return true;
    case Type::kQ6_K:
      EncodeBlocks<Q6_K, WideLane>(job);
      return true;
    default:
      return false;
  }
}

bool DecodeK(Type type, const uint8_t* in, int64_t count, float* out) {
  switch (type) {
    case Type::kQ2_K:
      DecodeBlocks<Q2_K>(in, count, out);
      return true;
    case Type::kQ3_K:
      DecodeBlocks<Q3_K>(in, count, out);
      return true;
    case Type::kQ4_K:
      DecodeBlocks<Q4_K>(in, count, out);
      return true;
    case Type::kQ5_K:
      DecodeBlocks<Q5_K>(in, count, out);
      return true;
    case Type::kQ6_K:
      DecodeBlocks<Q6_K>(in, count, out);
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

HWY_EXPORT(EncodeK);
HWY_EXPORT(DecodeK);

bool EncodeK(Type type, const EncodeJob& job) { return HWY_DYNAMIC_DISPATCH(EncodeK)(type, job); }

bool DecodeK(Type type, const uint8_t* in, int64_t count, float* out) {
  return HWY_DYNAMIC_DISPATCH(DecodeK)(type, in, count, out);
}

}  // namespace quern
#endif  // HWY_ONCE
