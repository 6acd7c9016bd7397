#pragma once

#include <cstdint>

namespace quern {

// The heads of one attention: `heads` queries share `kv_heads` keys and values in equal groups.
struct AttentionShape {
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t key_dim = 0;
  int64_t value_dim = 0;
  float scale = 1.0f;  // of the scores, mostly 1 / sqrt(key_dim)
};

// Elements of a KV cache: float32, or IEEE half.
enum class KvType { kF32, kF16 };

// Keys [kv_heads, capacity, key_dim] and values [kv_heads, capacity, value_dim] of one layer.
struct KvView {
  KvType type = KvType::kF32;
  const void* keys = nullptr;
  const void* values = nullptr;
  int64_t capacity = 0;
};

// Writes x[tokens, kv_heads, dim] to cache[kv_heads, capacity, dim] from `position` on.
void StoreKv(const float* x, int64_t tokens, int64_t kv_heads, int64_t dim, KvType type,
             int64_t position, int64_t capacity, void* cache);

// out[tokens, heads, value_dim] = softmax(scale * q keys) values for q[tokens, heads, key_dim],
// where the query t stands at position first + t and sees all positions up to its own. All threads.
void Attention(const AttentionShape& shape, const KvView& kv, const float* q, int64_t tokens,
               int64_t first, float* out);

}  // namespace quern
