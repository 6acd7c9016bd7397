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
  // Room for `capacity` tokens. Errors: kUsage where memory for so many cannot be had, kUnsupported
  // where a head's length is no multiple of a type's block.
  KvCache(const Hyper& hyper, int64_t capacity, KvTypes types);

  int64_t length() const { return length_; }
  int64_t capacity() const { return capacity_; }
  // What a full cache takes.
  int64_t bytes() const { return layers_ * kv_heads_ * capacity_ * (key_bytes_ + value_bytes_); }
  // Forgets all tokens from `length` on.
  void Truncate(int64_t length);

  // For the forward pass: writes k[tokens, kv_heads, key_dim] and v[tokens, kv_heads, value_dim] of
  // one layer behind the present length, which Advance moves when all layers are done.
  void Store(int64_t layer, const float* k, const float* v, int64_t tokens);
  KvView View(int64_t layer) const;
  void Advance(int64_t tokens);

 private:
  int64_t layers_, kv_heads_, key_dim_, value_dim_;
  int64_t capacity_;
  KvTypes types_;
  int64_t key_bytes_, value_bytes_;  // of one head's row
  int64_t length_ = 0;
  // By layer; left uninitialised, so that pages cost memory only once tokens reach them.
  std::vector<std::unique_ptr<std::byte[]>> keys_, values_;
};

}  // namespace quern
