#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/ops/attention.h"
#include "model/hyper.h"

namespace quern {

// Keys and values of one sequence, in all layers.
class KvCache {
 public:
  // Room for `capacity` tokens. Error kUsage where memory for so many cannot be had.
  KvCache(const Hyper& hyper, int64_t capacity, KvType type);

  int64_t length() const { return length_; }
  int64_t capacity() const { return capacity_; }
  KvType type() const { return type_; }
  // Forgets all tokens from `length` on.
  void Truncate(int64_t length);

  // For the forward pass: writes k[tokens, kv_heads, key_dim] and v[tokens, kv_heads, value_dim] of
  // one layer behind the present length, which Advance moves when all layers are done.
  void Store(int64_t layer, const float* k, const float* v, int64_t tokens);
  KvView View(int64_t layer) const;
  void Advance(int64_t tokens);

 private:
  int64_t kv_heads_, key_dim_, value_dim_;
  int64_t capacity_;
  KvType type_;
  int64_t length_ = 0;
  // By layer; left uninitialised, so that pages cost memory only once tokens reach them.
  std::vector<std::unique_ptr<std::byte[]>> keys_, values_;
};

}  // namespace quern
