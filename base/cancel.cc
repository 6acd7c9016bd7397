#include "base/cancel.h"

#include <atomic>

#include "base/error.h"

namespace quern {
namespace {
std::atomic<bool> cancelled{false};
static_assert(std::atomic<bool>::is_always_lock_free);
}  // namespace

void RequestCancel() { cancelled.store(true, std::memory_order_relaxed); }

void ThrowIfCancelled() {
  if (cancelled.load(std::memory_order_relaxed)) {
    Fail(ErrorKind::kOutput, "interrupted; nothing was written");
  }
}

}  // namespace quern
