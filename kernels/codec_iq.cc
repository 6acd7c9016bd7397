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

Family IqFamily() { return FamilyOf<Lane, IQ1_M, IQ1_S, IQ2_S, IQ2_XS, IQ2_XXS, IQ3_S, IQ3_XXS>(); }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace quern {

HWY_EXPORT(IqFamily);

Family IqFamily() { return HWY_DYNAMIC_DISPATCH(IqFamily)(); }

}  // namespace quern
#endif  // HWY_ONCE
