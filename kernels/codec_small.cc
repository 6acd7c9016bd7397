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

Family SmallFamily() {
  return FamilyOf<Lane, Q1_0, Q2_0, TQ1_0, TQ2_0, MXFP4, NVFP4, IQ4_NL, IQ4_XS>();
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace quern {

HWY_EXPORT(SmallFamily);

Family SmallFamily() { return HWY_DYNAMIC_DISPATCH(SmallFamily)(); }

}  // namespace quern
#endif  // HWY_ONCE
