#pragma once

#include <cstddef>
#include <cstdint>

#include "gguf/types.h"

namespace quern {

// The heads of one attention: `heads` queries share `kv_heads` keys and values in equal groups.
struct AttentionShape {
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t key_dim = 0;
  int64_t value_dim = 0;
  float scale = 1.0f;  // of the scores, mostly 1 / sqrt(key_dim)
};

// What a KV cache is made of: f32, f16, or q8_0 where a head's length is a multiple of its block.
struct KvTypes {
  Type keys = Type::kF16, values = Type::kF16;

  KvTypes() = default;
  KvTypes(Type both) : keys(both), values(both) {}
  KvTypes(Type of_keys, Type of_values) : keys(of_keys), values(of_values) {}
};

// The keys or the values of one layer, [kv_heads, capacity] rows of `dim` elements.
struct KvRows {
  Type type;
  const std::byte* data;
  int64_t capacity, dim;
  int64_t row_bytes = RowBytes(type, dim);

  const std::byte* Row(int64_t kv_head, int64_t position) const {
    return data + (kv_head * capacity + position) * row_bytes;
  }
};

struct KvView {
  KvRows keys, values;
};

// Writes x[tokens, kv_heads, dim] to cache[kv_heads, capacity, dim] from `position` on.
void StoreKv(const float* x, int64_t tokens, int64_t kv_heads, int64_t dim, Type type,
             int64_t position, int64_t capacity, std::byte* cache);

// out[tokens, heads, value_dim] = softmax(scale * q keys) values for q[tokens, heads, key_dim],
// where the query t stands at position first + t and sees all positions up to its own. All threads.
void Attention(const AttentionShape& shape, const KvView& kv, const float* q, int64_t tokens,
               int64_t first, float* out);

}  // namespace quern
