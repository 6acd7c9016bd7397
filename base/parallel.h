#pragma once

#include <cstdint>
#include <functional>

namespace quern {

// Runs body(begin, end) over [0, count) in pieces of at most `grain`, on all threads, and waits.
// The first exception of a piece stops the rest and is thrown here.
void ParallelFor(int64_t count, int64_t grain,
                 const std::function<void(int64_t begin, int64_t end)>& body);

// How many threads ParallelFor uses: all cores unless a ThreadLimit says otherwise.
int ThreadCount();

// Bounds the threads as long as it lives; 0 means all cores.
class ThreadLimit {
 public:
  explicit ThreadLimit(int threads);
  ~ThreadLimit();
  ThreadLimit(const ThreadLimit&) = delete;
  ThreadLimit& operator=(const ThreadLimit&) = delete;

 private:
  void* control_;
};

}  // namespace quern
