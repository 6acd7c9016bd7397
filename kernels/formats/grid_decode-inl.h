// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_GRID_DECODE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_GRID_DECODE_INL_H_
#undef QUERN_KERNELS_FORMATS_GRID_DECODE_INL_H_
#else
#define QUERN_KERNELS_FORMATS_GRID_DECODE_INL_H_
#endif

#include "kernels/formats/blocks.h"
#include "kernels/formats/grids.h"
#include "kernels/half.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// out[i] = scale * byte i of the point, minus where bit i of `signs` is set. Four at a time, which
// compilers vectorize.
HWY_INLINE void ExpandPoint(uint32_t point, unsigned signs, float scale, float* out) {
  for (unsigned i = 0; i < 4; ++i) {
    const float weight = scale * static_cast<float>((point >> (8 * i)) & 0xff);
    out[i] = weight * ((signs >> i) & 1 ? -1.0f : 1.0f);
  }
}
HWY_INLINE void ExpandPoint(uint64_t point, unsigned signs, float scale, float* out) {
  ExpandPoint(static_cast<uint32_t>(point), signs, scale, out);
  ExpandPoint(static_cast<uint32_t>(point >> 32), signs >> 4, scale, out + 4);
}

// out[i] = scale * (byte i of the point + delta), for the points of -1, 0 and 1.
HWY_INLINE void ExpandTrits(uint64_t point, float delta, float scale, float* out) {
  for (unsigned i = 0; i < 8; ++i) {
    out[i] = scale * (static_cast<float>(static_cast<int8_t>(point >> (8 * i))) + delta);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
