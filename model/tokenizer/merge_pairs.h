#pragma once

#include <cstdint>
#include <queue>
#include <vector>

namespace quern {

// A stretch of text under merging: `id` is the merger's own name for its bytes. A symbol that was
// merged into the one before it has size 0.
struct Symbol {
  int32_t id;
  uint32_t begin, size;
  int32_t previous, next;  // -1 at the ends
};

// What two neighbours make, if anything: the cheapest pair goes first, the leftmost among equals.
struct PairMerge {
  bool allowed = false;
  double cost = 0;
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
  struct Candidate {
    double cost;
    int32_t left, right, id;
    uint32_t size;
  };
  const auto later = [](const Candidate& a, const Candidate& b) {
    return a.cost != b.cost ? a.cost > b.cost : a.left > b.left;
  };
  std::vector<Candidate> storage;
  storage.reserve(symbols.size());
  std::priority_queue<Candidate, std::vector<Candidate>, decltype(later)> queue(later,
                                                                                std::move(storage));
  const auto at = [&](int32_t i) -> Symbol& { return symbols[static_cast<size_t>(i)]; };
  const auto consider = [&](int32_t left, int32_t right) {
    if (left < 0 || right < 0) return;
    const PairMerge merge = find(at(left), at(right));
    if (merge.allowed) {
      queue.push({merge.cost, left, right, merge.id, at(left).size + at(right).size});
    }
  };
  for (int32_t i = 0; i + 1 < static_cast<int32_t>(symbols.size()); ++i) consider(i, i + 1);
  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    Symbol& left = at(best.left);
    Symbol& right = at(best.right);
    // One of them has been merged meanwhile.
    if (left.size == 0 || right.size == 0 || left.size + right.size != best.size) continue;
    left.id = best.id;
    left.size = best.size;
    left.next = right.next;
    right.size = 0;
    if (right.next >= 0) at(right.next).previous = best.left;
    consider(left.previous, best.left);
    consider(best.left, left.next);
  }
}

}  // namespace quern
