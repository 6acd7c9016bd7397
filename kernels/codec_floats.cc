#include "kernels/encode.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/codec_floats.cc"
// clang-format off: foreach_target.h includes this file once per target, so it stands first.
#include <hwy/foreach_target.h>
// clang-format on
#include "kernels/encode-inl.h"
#include "kernels/formats/floats-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {
namespace {

bool EncodeFloats(Type type, const EncodeJob& job) {
  const int64_t count = job.rows * job.cols;
  switch (type) {
    case Type::kF32:
      // CanEncode asks with an empty job, whose pointers memcpy may not be given.
      if (count > 0) std::memcpy(job.out, job.in, static_cast<size_t>(count) * sizeof(float));
      return true;
    case Type::kF16:
      EncodeF16<Lane>(job.in, count, reinterpret_cast<uint16_t*>(job.out));
      return true;
    case Type::kBF16:
      EncodeBf16<Lane>(job.in, count, reinterpret_cast<uint16_t*>(job.out));
      return true;
    default:
      return false;
  }
}

bool DecodeFloats(Type type, const uint8_t* in, int64_t count, float* out) {
  switch (type) {
    case Type::kF32:
      if (count > 0) std::memcpy(out, in, static_cast<size_t>(count) * sizeof(float));
      return true;
    case Type::kF16:
      DecodeF16<Lane>(reinterpret_cast<const uint16_t*>(in), count, out);
      return true;
    case Type::kBF16:
      DecodeBf16<Lane>(reinterpret_cast<const uint16_t*>(in), count, out);
      return true;
    case Type::kF64:
      for (int64_t i = 0; i < count; ++i) {
        double value;
        std::memcpy(&value, in + 8 * i, sizeof(value));
        out[i] = static_cast<float>(value);
      }
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

HWY_EXPORT(EncodeFloats);
HWY_EXPORT(DecodeFloats);

bool EncodeFloats(Type type, const EncodeJob& job) {
  return HWY_DYNAMIC_DISPATCH(EncodeFloats)(type, job);
}

bool DecodeFloats(Type type, const uint8_t* in, int64_t count, float* out) {
  return HWY_DYNAMIC_DISPATCH(DecodeFloats)(type, in, count, out);
}

}  // namespace quern
#endif  // HWY_ONCE
