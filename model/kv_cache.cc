#include "model/kv_cache.h"

#include <new>

#include "base/error.h"

namespace quern {

KvCache::KvCache(const Hyper& hyper, int64_t capacity, KvType type)
    : kv_heads_(hyper.kv_heads),
      key_dim_(hyper.key_dim),
      value_dim_(hyper.value_dim),
      capacity_(capacity),
      type_(type) {
  if (capacity < 1) Fail(ErrorKind::kUsage, "a context of {} tokens is too small", capacity);
  const double element = type == KvType::kF32 ? 4 : 2;
  const double key_bytes =
      static_cast<double>(kv_heads_ * key_dim_) * static_cast<double>(capacity) * element;
  const double value_bytes =
      key_bytes / static_cast<double>(key_dim_) * static_cast<double>(value_dim_);
  const double total = (key_bytes + value_bytes) * static_cast<double>(hyper.layers);
  const auto refuse = [&] {
    Fail(ErrorKind::kUsage,
         "a context of {} tokens needs {:.0f} MB, more than can be had; give a "
         "smaller one",
         capacity, total / 1e6);
  };
  // 2^46 bytes are more than any machine has, and far from overflow.
  if (total > 7e13) refuse();
  try {
    for (int64_t i = 0; i < hyper.layers; ++i) {
      keys_.emplace_back(new std::byte[static_cast<size_t>(key_bytes)]);
      values_.emplace_back(new std::byte[static_cast<size_t>(value_bytes)]);
    }
  } catch (const std::bad_alloc&) {
    refuse();
  }
}

void KvCache::Truncate(int64_t length) {
  QUERN_CHECK(length >= 0 && length <= length_);
  length_ = length;
}

void KvCache::Store(int64_t layer, const float* k, const float* v, int64_t tokens) {
  const auto at = static_cast<size_t>(layer);
  StoreKv(k, tokens, kv_heads_, key_dim_, type_, length_, capacity_, keys_[at].get());
  StoreKv(v, tokens, kv_heads_, value_dim_, type_, length_, capacity_, values_[at].get());
}

KvView KvCache::View(int64_t layer) const {
  const auto at = static_cast<size_t>(layer);
  return {type_, keys_[at].get(), values_[at].get(), capacity_};
}

void KvCache::Advance(int64_t tokens) {
  QUERN_CHECK(length_ + tokens <= capacity_);
  length_ += tokens;
}

}  // namespace quern
