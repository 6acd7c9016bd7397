#include "base/parallel.h"

#include <doctest/doctest.h>

#include <atomic>
#include <stdexcept>
#include <vector>

namespace quern {
namespace {

TEST_CASE("every index is visited once, at any grain and number of threads") {
  for (const int threads : {1, 2, 7}) {
    const ThreadLimit limit(threads);
    for (const int64_t grain : {1, 3, 1000}) {
      std::vector<std::atomic<int>> seen(257);
      ParallelFor(257, grain, [&](int64_t begin, int64_t end) {
        CHECK(end - begin <= grain);
        for (int64_t i = begin; i < end; ++i) seen[static_cast<size_t>(i)]++;
      });
      for (const auto& count : seen) CHECK(count == 1);
    }
  }
}

TEST_CASE("a limit holds as long as it lives") {
  const int all = ThreadCount();
  {
    const ThreadLimit limit(1);
    CHECK(ThreadCount() == 1);
  }
  CHECK(ThreadCount() == all);
}

TEST_CASE("an exception of a piece comes out") {
  CHECK_THROWS_AS(ParallelFor(100, 1,
                              [](int64_t begin, int64_t) {
                                if (begin == 50) throw std::runtime_error("piece 50");
                              }),
                  std::runtime_error);
}

}  // namespace
}  // namespace quern
