// A few queries meet the cache one at a time, with a row of scores each. Many go through it in
// blocks, tile by tile of positions, with a running maximum and sum (Dao et al. 2022), so that the
// scores of a tile are all that exist. Sums may be reordered: nothing of this decides the bytes of
// a quantized file.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "base/error.h"
#include "base/parallel.h"
#include "kernels/codec.h"
#include "kernels/ops/attention.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/ops/attention_cpu.cc"
#include "kernels/ops/simd.h"
//
#include <hwy/foreach_target.h>
//
#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

#include "kernels/ops/float_rows-inl.h"
#include "kernels/ops/kv_rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Rows of the cache that a few queries meet at a time.
constexpr int64_t kFewRows = 16;

HWY_INLINE float ScoreOf(const float* q, const float* key, int64_t dim) {
  V sum = hn::Zero(D());
  int64_t i = 0;
  for (; i + FloatLanes() <= dim; i += FloatLanes()) {
    sum = hn::MulAdd(hn::LoadU(D(), q + i), hn::LoadU(D(), key + i), sum);
  }
  float total = hn::GetLane(hn::SumOfLanes(D(), sum));
  for (; i < dim; ++i) total += q[i] * key[i];
  return total;
}

// out += weight * value
HWY_INLINE void Accumulate(float weight, const float* value, int64_t dim, float* out) {
  const V w = hn::Set(D(), weight);
  int64_t i = 0;
  for (; i + FloatLanes() <= dim; i += FloatLanes()) {
    hn::StoreU(hn::MulAdd(w, hn::LoadU(D(), value + i), hn::LoadU(D(), out + i)), D(), out + i);
  }
  for (; i < dim; ++i) out[i] += weight * value[i];
}

HWY_INLINE float LargestOf(const float* scores, int64_t n) {
  V most = hn::Set(D(), -std::numeric_limits<float>::infinity());
  int64_t i = 0;
  for (; i + FloatLanes() <= n; i += FloatLanes()) {
    most = hn::Max(most, hn::LoadU(D(), scores + i));
  }
  float max = hn::GetLane(hn::MaxOfLanes(D(), most));
  for (; i < n; ++i) max = std::max(max, scores[i]);
  return max;
}

// scores[n] = exp(scores - max), and their sum.
HWY_INLINE float ExpOf(float* scores, int64_t n, float max) {
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
  return total;
}

// All queries of one token that share a key-value head, so that its rows are met while in cache.
// room: kFewRows rows of the cache.
void AttendGroup(const AttentionShape& shape, const KvView& kv, const float* q, int64_t kv_head,
                 int64_t seen, float* out, std::vector<float>& scores, float* room) {
  const int64_t group = shape.heads / shape.kv_heads;
  q += kv_head * group * shape.key_dim;
  out += kv_head * group * shape.value_dim;
  scores.resize(static_cast<size_t>(group * seen));
  for (int64_t start = 0; start < seen; start += kFewRows) {
    const int64_t count = std::min(kFewRows, seen - start);
    LoadRows(kv.keys, kv_head, start, count, room, shape.key_dim);
    for (int64_t p = 0; p < count; ++p) {
      for (int64_t g = 0; g < group; ++g) {
        scores[static_cast<size_t>(g * seen + start + p)] =
            shape.scale * ScoreOf(q + g * shape.key_dim, room + p * shape.key_dim, shape.key_dim);
      }
    }
  }
  for (int64_t g = 0; g < group; ++g) {
    float* row = scores.data() + g * seen;
    const float norm = 1.0f / ExpOf(row, seen, LargestOf(row, seen));
    for (int64_t p = 0; p < seen; ++p) row[p] *= norm;
  }
  std::fill_n(out, group * shape.value_dim, 0.0f);
  for (int64_t start = 0; start < seen; start += kFewRows) {
    const int64_t count = std::min(kFewRows, seen - start);
    LoadRows(kv.values, kv_head, start, count, room, shape.value_dim);
    for (int64_t g = 0; g < group; ++g) {
      const float* weights = scores.data() + g * seen + start;
      for (int64_t p = 0; p < count; ++p) {
        Accumulate(weights[p], room + p * shape.value_dim, shape.value_dim,
                   out + g * shape.value_dim);
      }
    }
  }
}

void AttendPiece(const AttentionShape& shape, const KvView& kv, const float* q, int64_t first,
                 int64_t begin, int64_t end, float* out) {
  std::vector<float> scores;
  std::vector<float> room(static_cast<size_t>(kFewRows * std::max(shape.key_dim, shape.value_dim)));
  for (int64_t i = begin; i < end; ++i) {
    // Neighbouring pieces of work share a head, whose rows then stay in cache.
    const int64_t t = i / shape.kv_heads, kv_head = i % shape.kv_heads;
    AttendGroup(shape, kv, q + t * shape.heads * shape.key_dim, kv_head, first + t + 1,
                out + t * shape.heads * shape.value_dim, scores, room.data());
  }
}

// Positions of a tile.
constexpr int64_t kTile = 64;
constexpr int64_t kMicroRows = 6;

HWY_INLINE int64_t RoundUp(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

// c[kMicroRows, two vectors] += a[kMicroRows, n] * b[n, two vectors], with these strides.
HWY_INLINE void MicroKernel(const float* HWY_RESTRICT a, int64_t a_stride,
                            const float* HWY_RESTRICT b, int64_t b_stride, int64_t n,
                            float* HWY_RESTRICT c, int64_t c_stride) {
  const D d;
  V acc0[kMicroRows], acc1[kMicroRows];
#pragma GCC unroll 6
  for (int64_t r = 0; r < kMicroRows; ++r) {
    acc0[r] = hn::LoadU(d, c + r * c_stride);
    acc1[r] = hn::LoadU(d, c + r * c_stride + FloatLanes());
  }
  for (int64_t k = 0; k < n; ++k) {
    const V b0 = hn::LoadU(d, b + k * b_stride);
    const V b1 = hn::LoadU(d, b + k * b_stride + FloatLanes());
#pragma GCC unroll 6
    for (int64_t r = 0; r < kMicroRows; ++r) {
      const V ar = hn::Set(d, a[r * a_stride + k]);
      acc0[r] = hn::MulAdd(ar, b0, acc0[r]);
      acc1[r] = hn::MulAdd(ar, b1, acc1[r]);
    }
  }
#pragma GCC unroll 6
  for (int64_t r = 0; r < kMicroRows; ++r) {
    hn::StoreU(acc0[r], d, c + r * c_stride);
    hn::StoreU(acc1[r], d, c + r * c_stride + FloatLanes());
  }
}

// The queries of a block of tokens that share a key-value head, row t * group + g, on their way
// through the cache. Rows and columns are padded to what the micro-kernel takes.
class Block {
 public:
  Block(const AttentionShape& shape, const float* q, int64_t kv_head, int64_t tokens)
      : shape_(shape),
        group_(shape.heads / shape.kv_heads),
        rows_(group_ * tokens),
        padded_rows_(RoundUp(rows_, kMicroRows)),
        value_cols_(RoundUp(shape.value_dim, 2 * FloatLanes())),
        queries_(static_cast<size_t>(padded_rows_ * shape.key_dim)),
        sums_(static_cast<size_t>(padded_rows_ * value_cols_)),
        scores_(static_cast<size_t>(padded_rows_ * kTile)),
        four_keys_(static_cast<size_t>(4 * shape.key_dim)),
        keys_(static_cast<size_t>(shape.key_dim * kTile)),
        values_(static_cast<size_t>(kTile * value_cols_)),
        maxima_(static_cast<size_t>(rows_), -std::numeric_limits<float>::infinity()),
        norms_(static_cast<size_t>(rows_)) {
    for (int64_t r = 0; r < rows_; ++r) {
      const int64_t t = r / group_, head = kv_head * group_ + r % group_;
      const float* from = q + (t * shape.heads + head) * shape.key_dim;
      for (int64_t i = 0; i < shape.key_dim; ++i) {
        queries_[static_cast<size_t>(r * shape.key_dim + i)] = shape.scale * from[i];
      }
    }
  }

  // Meets `count` positions from `start` on; the block's first token stands at position `first`.
  void Meet(const KvView& kv, int64_t kv_head, int64_t start, int64_t count, int64_t first) {
    // Positions behind the last one are scores that Weigh drops.
    for (int64_t p = 0; p < count; p += 4) {
      const float* four[4];
      LoadRows(kv.keys, kv_head, start + p, std::min<int64_t>(4, count - p), four_keys_.data(),
               shape_.key_dim);
      for (int64_t i = 0; i < 4; ++i) four[i] = four_keys_.data() + i * shape_.key_dim;
      TurnRows(four, 4, shape_.key_dim, keys_.data() + p, kTile);
    }
    LoadRows(kv.values, kv_head, start, count, values_.data(), value_cols_);
    const int64_t width = 2 * FloatLanes(), used = std::min(RoundUp(count, width), kTile);
    std::fill(scores_.begin(), scores_.end(), 0.0f);
    for (int64_t r = 0; r < padded_rows_; r += kMicroRows) {
      for (int64_t p = 0; p < used; p += width) {
        MicroKernel(queries_.data() + r * shape_.key_dim, shape_.key_dim, keys_.data() + p, kTile,
                    shape_.key_dim, scores_.data() + r * kTile + p, kTile);
      }
    }
    for (int64_t r = 0; r < rows_; ++r) {
      Weigh(r, std::clamp<int64_t>(first + r / group_ + 1 - start, 0, count));
    }
    for (int64_t r = 0; r < padded_rows_; r += kMicroRows) {
      for (int64_t i = 0; i < value_cols_; i += width) {
        MicroKernel(scores_.data() + r * kTile, kTile, values_.data() + i, value_cols_, count,
                    sums_.data() + r * value_cols_ + i, value_cols_);
      }
    }
  }

  void Finish(int64_t kv_head, float* out) const {
    for (int64_t r = 0; r < rows_; ++r) {
      const int64_t t = r / group_, head = kv_head * group_ + r % group_;
      float* to = out + (t * shape_.heads + head) * shape_.value_dim;
      const float norm = 1.0f / norms_[static_cast<size_t>(r)];
      for (int64_t i = 0; i < shape_.value_dim; ++i) {
        to[i] = norm * sums_[static_cast<size_t>(r * value_cols_ + i)];
      }
    }
  }

 private:
  // Scores of a row become weights: exp(score - maximum) for the first `seen`, zero for the rest.
  // Where the maximum grew, what was summed before is scaled down to it.
  void Weigh(int64_t row, int64_t seen) {
    float* scores = scores_.data() + row * kTile;
    const float before = maxima_[static_cast<size_t>(row)];
    const float max = std::max(before, LargestOf(scores, seen));
    std::fill(scores + seen, scores + kTile, 0.0f);
    if (seen == 0) return;
    float& norm = norms_[static_cast<size_t>(row)];
    if (max > before) {
      const float shrink = std::exp(before - max);
      norm *= shrink;
      float* sums = sums_.data() + row * value_cols_;
      for (int64_t i = 0; i < value_cols_; ++i) sums[i] *= shrink;
      maxima_[static_cast<size_t>(row)] = max;
    }
    norm += ExpOf(scores, seen, max);
  }

  const AttentionShape& shape_;
  int64_t group_, rows_, padded_rows_, value_cols_;
  std::vector<float> queries_;    // [padded rows, key_dim], scaled
  std::vector<float> sums_;       // [padded rows, value_cols]
  std::vector<float> scores_;     // [padded rows, kTile]
  std::vector<float> four_keys_;  // [4, key_dim]
  std::vector<float> keys_;       // [key_dim, kTile]
  std::vector<float> values_;     // [kTile, value_cols]
  std::vector<float> maxima_, norms_;
};

// Tokens [begin, begin + tokens) of one head's queries; q and out are those of all tokens.
void AttendBlock(const AttentionShape& shape, const KvView& kv, const float* q, int64_t first,
                 int64_t begin, int64_t tokens, int64_t kv_head, float* out) {
  Block block(shape, q + begin * shape.heads * shape.key_dim, kv_head, tokens);
  first += begin;
  const int64_t seen = first + tokens;
  for (int64_t start = 0; start < seen; start += kTile) {
    block.Meet(kv, kv_head, start, std::min(kTile, seen - start), first);
  }
  block.Finish(kv_head, out + begin * shape.heads * shape.value_dim);
}

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace quern {
HWY_EXPORT(AttendBlock);
HWY_EXPORT(AttendPiece);
HWY_EXPORT(StoreHalf);

void StoreKv(const float* x, int64_t tokens, int64_t kv_heads, int64_t dim, Type type,
             int64_t position, int64_t capacity, std::byte* cache) {
  QUERN_CHECK(position >= 0 && position + tokens <= capacity);
  const int64_t row_bytes = RowBytes(type, dim);
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t h = 0; h < kv_heads; ++h) {
      const float* from = x + (t * kv_heads + h) * dim;
      std::byte* to = cache + (h * capacity + position + t) * row_bytes;
      switch (type) {
        case Type::kF32:
          std::memcpy(to, from, static_cast<size_t>(row_bytes));
          break;
        case Type::kF16:
          HWY_DYNAMIC_DISPATCH(StoreHalf)(from, dim, reinterpret_cast<uint16_t*>(to));
          break;
        default:
          EncodeRows(type, from, 1, dim, {}, to);
      }
    }
  }
}

void Attention(const AttentionShape& shape, const KvView& kv, const float* q, int64_t tokens,
               int64_t first, float* out) {
  QUERN_CHECK(shape.kv_heads > 0 && shape.heads % shape.kv_heads == 0);
  QUERN_CHECK(first + tokens <= kv.keys.capacity && first + tokens <= kv.values.capacity);
  // Below this many tokens a block is not worth the turning round of the keys.
  constexpr int64_t kFewTokens = 8, kBlockTokens = 32;
  if (tokens < kFewTokens) {
    ParallelFor(tokens * shape.kv_heads, 1, [&](int64_t begin, int64_t end) {
      HWY_DYNAMIC_DISPATCH(AttendPiece)(shape, kv, q, first, begin, end, out);
    });
    return;
  }
  const int64_t blocks = (tokens + kBlockTokens - 1) / kBlockTokens;
  ParallelFor(blocks * shape.kv_heads, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t start = i / shape.kv_heads * kBlockTokens;
      HWY_DYNAMIC_DISPATCH(AttendBlock)
      (shape, kv, q, first, start, std::min(kBlockTokens, tokens - start), i % shape.kv_heads, out);
    }
  });
}

}  // namespace quern
#endif
