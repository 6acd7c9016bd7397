// Included once per target.
#if defined(QUERN_KERNELS_OPS_KV_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_OPS_KV_ROWS_INL_H_
#undef QUERN_KERNELS_OPS_KV_ROWS_INL_H_
#else
#define QUERN_KERNELS_OPS_KV_ROWS_INL_H_
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>

#include "base/error.h"
#include "kernels/formats/blocks.h"
#include "kernels/half.h"
#include "kernels/ops/attention.h"
#include "kernels/ops/float_rows-inl.h"

// Rows of a KV cache as float32, whatever they are made of, and how halves get there.

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <class T>
HWY_INLINE void WidenRow(const T* from, int64_t dim, float* to) {
  int64_t i = 0;
  for (; i + FloatLanes() <= dim; i += FloatLanes()) hn::StoreU(Widen(from + i), D(), to + i);
  for (; i < dim; ++i) to[i] = WidenOne(from + i);
}

HWY_INLINE void WidenRow(const BlockQ8_0* from, int64_t dim, float* to) {
  constexpr int64_t kBlock = 32;
  const hn::Rebind<int32_t, D> whole;
  const hn::Rebind<int8_t, D> codes;
  for (int64_t at = 0; at < dim; at += kBlock, ++from) {
    const V scale = hn::Set(D(), HalfToFloat(from->d));
    for (int64_t i = 0; i < kBlock; i += FloatLanes()) {
      const auto code = hn::PromoteTo(whole, hn::LoadU(codes, from->qs + i));
      hn::StoreU(hn::Mul(scale, hn::ConvertTo(D(), code)), D(), to + at + i);
    }
  }
}

template <class T>
HWY_INLINE void WidenRows(const std::byte* from, int64_t count, const KvRows& rows, float* to,
                          int64_t stride) {
  for (int64_t r = 0; r < count; ++r) {
    WidenRow(reinterpret_cast<const T*>(from + r * rows.row_bytes), rows.dim, to + r * stride);
  }
}

// to[count, stride] = the rows of a head from position `first` on.
HWY_INLINE void LoadRows(const KvRows& rows, int64_t kv_head, int64_t first, int64_t count,
                         float* to, int64_t stride) {
  const std::byte* from = rows.Row(kv_head, first);
  switch (rows.type) {
    case Type::kF32:
      return WidenRows<float>(from, count, rows, to, stride);
    case Type::kF16:
      return WidenRows<hwy::float16_t>(from, count, rows, to, stride);
    case Type::kQ8_0:
      return WidenRows<BlockQ8_0>(from, count, rows, to, stride);
    default:
      QUERN_CHECK(false);
  }
}

void StoreHalf(const float* x, int64_t n, uint16_t* out) {
  int64_t i = 0;
#if HWY_TARGET <= HWY_AVX2 || HWY_TARGET == HWY_NEON
  // Without instructions of the machine Highway cuts digits off where it should round.
  const hn::Rebind<hwy::float16_t, D> half;
  for (; i + FloatLanes() <= n; i += FloatLanes()) {
    hn::StoreU(hn::DemoteTo(half, hn::LoadU(D(), x + i)), half,
               reinterpret_cast<hwy::float16_t*>(out) + i);
  }
#endif
  for (; i < n; ++i) out[i] = FloatToHalf(x[i]);
}

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
