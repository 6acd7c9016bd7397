#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <mutex>

namespace quern {

// Keeps the values that were used last, so that what is costly to make needs not be in memory as a
// whole. Any thread may ask; those that want the same value wait for the first of them to make it.
template <typename Key, typename Value>
class Recent {
 public:
  explicit Recent(size_t capacity) : capacity_(capacity) {}

  std::shared_ptr<const Value> Get(const Key& key, const std::function<Value()>& make) {
    const std::shared_ptr<Entry> entry = EntryOf(key);
    const std::lock_guard lock(entry->making);
    if (!entry->value) entry->value = std::make_shared<const Value>(make());
    return entry->value;
  }

 private:
  struct Entry {
    explicit Entry(const Key& key) : key(key) {}
    Key key;
    std::mutex making;
    std::shared_ptr<const Value> value;
  };

  std::shared_ptr<Entry> EntryOf(const Key& key) {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(entries_.begin(), entries_.end(),
                                    [&](const auto& entry) { return entry->key == key; });
    if (found != entries_.end()) {
      entries_.splice(entries_.begin(), entries_, found);
    } else {
      entries_.push_front(std::make_shared<Entry>(key));
      if (entries_.size() > capacity_) entries_.pop_back();
    }
    return entries_.front();
  }

  std::mutex mutex_;
  size_t capacity_;
  std::list<std::shared_ptr<Entry>> entries_;  // the last used first
};

}  // namespace quern
