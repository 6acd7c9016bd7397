// Scores of one query at a time: only a row of them exists, in each thread. Sums may be reordered:
// nothing of this decides the bytes of a quantized file.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/error.h"
#include "base/parallel.h"
#include "kernels/half.h"
#include "kernels/ops/attention.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/ops/attention_cpu.cc"
#include "kernels/ops/simd.h"
//
#include <hwy/foreach_target.h>
//
#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

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
// One lane, for the rest of a row that is no multiple of the vector.
using One = hn::CappedTag<float, 1>;
HWY_INLINE float WidenOne(const float* p) { return *p; }
HWY_INLINE float WidenOne(const hwy::float16_t* p) {
  return hn::GetLane(hn::PromoteTo(One(), hn::LoadU(hn::Rebind<hwy::float16_t, One>(), p)));
}

template <class T>
HWY_INLINE float ScoreOf(const float* q, const T* key, int64_t dim) {
  V sum = hn::Zero(D());
  int64_t i = 0;
  for (; i + FloatLanes() <= dim; i += FloatLanes()) {
    sum = hn::MulAdd(hn::LoadU(D(), q + i), Widen(key + i), sum);
  }
  float total = hn::GetLane(hn::SumOfLanes(D(), sum));
  for (; i < dim; ++i) total += q[i] * WidenOne(key + i);
  return total;
}

// out += weight * value
template <class T>
HWY_INLINE void Accumulate(float weight, const T* value, int64_t dim, float* out) {
  const V w = hn::Set(D(), weight);
  int64_t i = 0;
  for (; i + FloatLanes() <= dim; i += FloatLanes()) {
    hn::StoreU(hn::MulAdd(w, Widen(value + i), hn::LoadU(D(), out + i)), D(), out + i);
  }
  for (; i < dim; ++i) out[i] += weight * WidenOne(value + i);
}

// scores[n] = exp(scores - max), and one over their sum.
float ExpOf(float* scores, int64_t n) {
  float max = -std::numeric_limits<float>::infinity();
  for (int64_t i = 0; i < n; ++i) max = std::max(max, scores[i]);
  const V m = hn::Set(D(), max);
  V sum = hn::Zero(D());
  int64_t i = 0;
  for (; i + FloatLanes() <= n; i += FloatLanes()) {
    const V e = hn::Exp(D(), hn::Sub(hn::LoadU(D(), scores + i), m));
    sum = hn::Add(sum, e);
    hn::StoreU(e, D(), scores + i);
  }
  float total = hn::GetLane(hn::SumOfLanes(D(), sum));
  for (; i < n; ++i) total += scores[i] = std::exp(scores[i] - max);
  return 1.0f / total;
}

// All queries of one token that share a key-value head, so that its rows are met while in cache.
template <class T>
void AttendGroup(const AttentionShape& shape, const KvView& kv, const float* q, int64_t kv_head,
                 int64_t seen, float* out, std::vector<float>& scores) {
  const T* keys = static_cast<const T*>(kv.keys) + kv_head * kv.capacity * shape.key_dim;
  const T* values = static_cast<const T*>(kv.values) + kv_head * kv.capacity * shape.value_dim;
  const int64_t group = shape.heads / shape.kv_heads;
  scores.resize(static_cast<size_t>(group * seen));
  for (int64_t p = 0; p < seen; ++p) {
    for (int64_t g = 0; g < group; ++g) {
      const float* query = q + (kv_head * group + g) * shape.key_dim;
      scores[static_cast<size_t>(g * seen + p)] =
          shape.scale * ScoreOf(query, keys + p * shape.key_dim, shape.key_dim);
    }
  }
  for (int64_t g = 0; g < group; ++g) {
    float* row = scores.data() + g * seen;
    float* to = out + (kv_head * group + g) * shape.value_dim;
    const float norm = ExpOf(row, seen);
    std::fill_n(to, shape.value_dim, 0.0f);
    for (int64_t p = 0; p < seen; ++p) {
      Accumulate(row[p] * norm, values + p * shape.value_dim, shape.value_dim, to);
    }
  }
}

void AttendPiece(const AttentionShape& shape, const KvView& kv, const float* q, int64_t first,
                 int64_t begin, int64_t end, float* out) {
  std::vector<float> scores;
  for (int64_t i = begin; i < end; ++i) {
    // Neighbouring pieces of work share a head, whose rows then stay in cache.
    const int64_t t = i / shape.kv_heads, kv_head = i % shape.kv_heads;
    const float* query = q + t * shape.heads * shape.key_dim;
    float* to = out + t * shape.heads * shape.value_dim;
    if (kv.type == KvType::kF32) {
      AttendGroup<float>(shape, kv, query, kv_head, first + t + 1, to, scores);
    } else {
      AttendGroup<hwy::float16_t>(shape, kv, query, kv_head, first + t + 1, to, scores);
    }
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

#if HWY_ONCE
namespace quern {
HWY_EXPORT(AttendPiece);
HWY_EXPORT(StoreHalf);

void StoreKv(const float* x, int64_t tokens, int64_t kv_heads, int64_t dim, KvType type,
             int64_t position, int64_t capacity, void* cache) {
  QUERN_CHECK(position >= 0 && position + tokens <= capacity);
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t h = 0; h < kv_heads; ++h) {
      const float* from = x + (t * kv_heads + h) * dim;
      const int64_t at = (h * capacity + position + t) * dim;
      if (type == KvType::kF32) {
        std::copy_n(from, dim, static_cast<float*>(cache) + at);
      } else {
        HWY_DYNAMIC_DISPATCH(StoreHalf)(from, dim, static_cast<uint16_t*>(cache) + at);
      }
    }
  }
}

void Attention(const AttentionShape& shape, const KvView& kv, const float* q, int64_t tokens,
               int64_t first, float* out) {
  QUERN_CHECK(shape.kv_heads > 0 && shape.heads % shape.kv_heads == 0);
  QUERN_CHECK(first + tokens <= kv.capacity);
  ParallelFor(tokens * shape.kv_heads, 4, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(AttendPiece)(shape, kv, q, first, begin, end, out);
  });
}

}  // namespace quern
#endif
