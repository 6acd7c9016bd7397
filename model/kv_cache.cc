#include "model/kv_cache.h"

#include <new>

#include "base/error.h"

namespace quern {

namespace {

int64_t CheckedRowBytes(Type type, int64_t dim) {
  if (dim % InfoOf(type).elems != 0) {
    Fail(ErrorKind::kUnsupported, "a cache of {} needs heads of a multiple of {}, these have {}",
         NameOf(type), InfoOf(type).elems, dim);
  }
  return RowBytes(type, dim);
}

}  // namespace

KvCache::KvCache(const Hyper& hyper, int64_t capacity, KvTypes types)
    : layers_(hyper.layers),
      kv_heads_(hyper.kv_heads),
      key_dim_(hyper.key_dim),
      value_dim_(hyper.value_dim),
      capacity_(capacity),
      types_(types),
      key_bytes_(CheckedRowBytes(types.keys, key_dim_)),
      value_bytes_(CheckedRowBytes(types.values, value_dim_)) {
  if (capacity < 1) Fail(ErrorKind::kUsage, "a context of {} tokens is too small", capacity);
  const double total = static_cast<double>(layers_ * kv_heads_) * static_cast<double>(capacity) *
                       static_cast<double>(key_bytes_ + value_bytes_);
  const auto refuse = [&] {
    Fail(ErrorKind::kUsage,
         "a context of {} tokens needs {:.0f} MB, more than can be had; give a "
         "smaller one",
         capacity, total / 1e6);
  };
  // 2^46 bytes are more than any machine has, and far from overflow.
  if (total > 7e13) refuse();
  const auto rows = static_cast<size_t>(kv_heads_ * capacity);
  try {
    for (int64_t i = 0; i < layers_; ++i) {
      keys_.emplace_back(new std::byte[rows * static_cast<size_t>(key_bytes_)]);
      values_.emplace_back(new std::byte[rows * static_cast<size_t>(value_bytes_)]);
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
  StoreKv(k, tokens, kv_heads_, key_dim_, types_.keys, length_, capacity_, keys_[at].get());
  StoreKv(v, tokens, kv_heads_, value_dim_, types_.values, length_, capacity_, values_[at].get());
}

KvView KvCache::View(int64_t layer) const {
  const auto at = static_cast<size_t>(layer);
  return {{types_.keys, keys_[at].get(), capacity_, key_dim_},
          {types_.values, values_[at].get(), capacity_, value_dim_}};
}

void KvCache::Advance(int64_t tokens) {
  QUERN_CHECK(length_ + tokens <= capacity_);
  length_ += tokens;
}

}  // namespace quern
