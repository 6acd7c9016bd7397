#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <utility>
#include <vector>

namespace quern {

// A stretch of text under merging: `id` is the merger's own name for its bytes. A symbol that was
// merged into the one before it has size 0.
struct Symbol {
  int32_t id;
  uint32_t begin, size;
  int32_t previous, next;  // -1 at the ends
};

// What two neighbours make, if anything: the lowest order goes first, the leftmost among equals.
struct PairMerge {
  bool allowed = false;
  uint32_t order = 0;
  int32_t id = -1;
};

// Makes `symbols` a chain in their order.
inline void LinkSymbols(std::vector<Symbol>& symbols) {
  const auto count = static_cast<int32_t>(symbols.size());
  for (int32_t i = 0; i < count; ++i) {
    symbols[static_cast<size_t>(i)].previous = i - 1;
    symbols[static_cast<size_t>(i)].next = i + 1 < count ? i + 1 : -1;
  }
}

// Merges neighbours in linked `symbols` until `find(left, right)`, a PairMerge, allows none.
// Time: n log n, of n symbols.
template <typename Find>
void MergePairs(std::vector<Symbol>& symbols, const Find& find) {
  // 16 bytes: a run of a million equal characters is a heap of as many, and waits for memory.
  struct Candidate {
    uint64_t key;  // order, then the left symbol
    uint32_t size;
    int32_t id;
    bool operator>(const Candidate& other) const { return key > other.key; }
  };
  const auto at = [&](int32_t i) -> Symbol& { return symbols[static_cast<size_t>(i)]; };
  const auto consider = [&](int32_t left, auto&& take) {
    if (left < 0 || at(left).next < 0) return;
    const Symbol& first = at(left);
    const Symbol& second = at(first.next);
    const PairMerge merge = find(first, second);
    if (!merge.allowed) return;
    take(Candidate{static_cast<uint64_t>(merge.order) << 32 | static_cast<uint32_t>(left),
                   first.size + second.size, merge.id});
  };
  std::vector<Candidate> first;
  for (int32_t i = 0; i + 1 < static_cast<int32_t>(symbols.size()); ++i) {
    consider(i, [&](const Candidate& candidate) { first.push_back(candidate); });
  }
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue(std::greater<>(),
                                                                               std::move(first));
  const auto push = [&](const Candidate& candidate) { queue.push(candidate); };
  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    const auto left_index = static_cast<int32_t>(best.key & 0xFFFFFFFF);
    Symbol& left = at(left_index);
    // One of the two has been merged meanwhile: sizes only grow, so an equal sum is the same pair.
    if (left.size == 0 || left.next < 0 || left.size + at(left.next).size != best.size) continue;
    Symbol& right = at(left.next);
    left.id = best.id;
    left.size = best.size;
    left.next = right.next;
    right.size = 0;
    if (right.next >= 0) at(right.next).previous = left_index;
    consider(left.previous, push);
    consider(left_index, push);
  }
}

}  // namespace quern
