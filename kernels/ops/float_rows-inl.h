// Included once per target.
#if defined(QUERN_KERNELS_OPS_FLOAT_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_OPS_FLOAT_ROWS_INL_H_
#undef QUERN_KERNELS_OPS_FLOAT_ROWS_INL_H_
#else
#define QUERN_KERNELS_OPS_FLOAT_ROWS_INL_H_
#endif

#include <hwy/highway.h>

#include <cstdint>
#include <type_traits>

#include "kernels/half.h"

// Rows of float32, IEEE half and bfloat16: as vectors of float32, and turned round to columns.

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

HWY_INLINE int64_t FloatLanes() { return static_cast<int64_t>(hn::Lanes(D())); }

HWY_INLINE V Widen(const float* p) { return hn::LoadU(D(), p); }
HWY_INLINE V Widen(const hwy::float16_t* p) {
  return hn::PromoteTo(D(), hn::LoadU(hn::Rebind<hwy::float16_t, D>(), p));
}
HWY_INLINE V Widen(const hwy::bfloat16_t* p) {
  return hn::PromoteTo(D(), hn::LoadU(hn::Rebind<hwy::bfloat16_t, D>(), p));
}
HWY_INLINE float WidenOne(const float* p) { return *p; }
HWY_INLINE float WidenOne(const hwy::float16_t* p) { return HalfToFloat(p->bits); }
HWY_INLINE float WidenOne(const hwy::bfloat16_t* p) { return Bf16ToFloat(p->bits); }

#if HWY_TARGET != HWY_SCALAR
// Four elements of each of four rows to four columns, in the order of the rows.
template <class D4, class V4 = hn::Vec<D4>>
HWY_INLINE void Columns(D4 d, V4& a, V4& b, V4& c, V4& e) {
  const V4 ac = hn::InterleaveLower(d, a, c), be = hn::InterleaveLower(d, b, e);
  const V4 ac2 = hn::InterleaveUpper(d, a, c), be2 = hn::InterleaveUpper(d, b, e);
  a = hn::InterleaveLower(d, ac, be);
  b = hn::InterleaveUpper(d, ac, be);
  c = hn::InterleaveLower(d, ac2, be2);
  e = hn::InterleaveUpper(d, ac2, be2);
}

// Turn four rows round by vectors, as TurnRows, and return how many columns they did.
template <class T>
HWY_INLINE int64_t TurnVectors(const T* const (&rows)[4], int64_t cols, float* HWY_RESTRICT out,
                               int64_t stride) {
  const hn::CappedTag<float, 4> d;
  const hn::Rebind<T, decltype(d)> from;
  const auto load = [&](const T* p) HWY_ATTR {
    if constexpr (std::is_same_v<T, float>) {
      return hn::LoadU(d, p);
    } else {
      return hn::PromoteTo(d, hn::LoadU(from, p));
    }
  };
  int64_t k = 0;
  for (; k + 4 <= cols; k += 4) {
    auto a = load(rows[0] + k), b = load(rows[1] + k), c = load(rows[2] + k), e = load(rows[3] + k);
    Columns(d, a, b, c, e);
    float* to = out + k * stride;
    hn::StoreU(a, d, to);
    hn::StoreU(b, d, to + stride);
    hn::StoreU(c, d, to + 2 * stride);
    hn::StoreU(e, d, to + 3 * stride);
  }
  return k;
}
// Pairs of bfloat16 are turned round as one element: their floats are its halves.
HWY_INLINE int64_t TurnVectors(const hwy::bfloat16_t* const (&rows)[4], int64_t cols,
                               float* HWY_RESTRICT out, int64_t stride) {
  const hn::CappedTag<float, 4> d;
  const hn::CappedTag<uint32_t, 4> pairs;
  const auto load = [&](const hwy::bfloat16_t* p)
                        HWY_ATTR { return hn::LoadU(pairs, reinterpret_cast<const uint32_t*>(p)); };
  const auto store = [&](hn::Vec<decltype(pairs)> pair, float* to) HWY_ATTR {
    const auto low = hn::ShiftLeft<16>(pair), high = hn::And(pair, hn::Set(pairs, 0xffff0000u));
    hn::StoreU(hn::BitCast(d, low), d, to);
    hn::StoreU(hn::BitCast(d, high), d, to + stride);
  };
  int64_t k = 0;
  for (; k + 8 <= cols; k += 8) {
    auto a = load(rows[0] + k), b = load(rows[1] + k), c = load(rows[2] + k), e = load(rows[3] + k);
    Columns(pairs, a, b, c, e);
    float* to = out + k * stride;
    store(a, to);
    store(b, to + 2 * stride);
    store(c, to + 4 * stride);
    store(e, to + 6 * stride);
  }
  return k;
}
#endif

// `count` rows, at most four, into columns: out[i * stride + r] is element i of row r.
template <class T>
void TurnRows(const T* const (&rows)[4], int64_t count, int64_t cols, float* out, int64_t stride) {
  int64_t k = 0;
#if HWY_TARGET != HWY_SCALAR
  if (count == 4) k = TurnVectors(rows, cols, out, stride);
#endif
  for (; k < cols; ++k) {
    for (int64_t r = 0; r < count; ++r) out[k * stride + r] = WidenOne(rows[r] + k);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
