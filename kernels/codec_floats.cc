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

Family FloatFamily() { return FamilyOf<Lane, F16, BF16, F32, F64>(); }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace quern {

HWY_EXPORT(FloatFamily);

Family FloatFamily() { return HWY_DYNAMIC_DISPATCH(FloatFamily)(); }

}  // namespace quern
#endif  // HWY_ONCE
