#include "model/tokenizer/partition.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"

namespace quern {
namespace {

// Bytes of all special tokens together; the largest vocabulary known has some 100 KB.
constexpr size_t kMaxSpecialBytes = size_t{1} << 24;

bool IsSpaceByte(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

}  // namespace

Partition::Partition(const Vocab& vocab, const Metadata& metadata) : vocab_(vocab) {
  size_t bytes = 0;
  for (TokenId id = 0; id < vocab.size(); ++id) {
    if (!vocab[id].Is(kTraitControl | kTraitUserDefined | kTraitUnknown)) continue;
    by_length_.push_back(id);
    bytes += vocab[id].text.size();
  }
  if (bytes > kMaxSpecialBytes) {
    Fail(ErrorKind::kBadInput, "{}: the special tokens have {} bytes, at most {} make sense",
         metadata.name(), bytes, kMaxSpecialBytes);
  }
  std::stable_sort(by_length_.begin(), by_length_.end(), [&](TokenId a, TokenId b) {
    return vocab[a].text.size() > vocab[b].text.size();
  });
  BuildNodes();
  LinkNodes();
}

void Partition::BuildNodes() {
  std::vector<int32_t> sorted(by_length_.size());
  std::iota(sorted.begin(), sorted.end(), 0);
  const auto text = [&](size_t i) -> const std::string& {
    return vocab_[by_length_[static_cast<size_t>(sorted[i])]].text;
  };
  std::sort(sorted.begin(), sorted.end(), [&](int32_t a, int32_t b) {
    return vocab_[by_length_[static_cast<size_t>(a)]].text <
           vocab_[by_length_[static_cast<size_t>(b)]].text;
  });
  // What of `sorted` begins with a node's prefix.
  struct Range {
    size_t begin, end, depth;
  };
  std::vector<Range> ranges = {{0, sorted.size(), 0}};
  nodes_.emplace_back();
  for (size_t node = 0; node < nodes_.size(); ++node) {
    auto [begin, end, depth] = ranges[node];
    if (begin < end && text(begin).size() == depth) nodes_[node].token = sorted[begin++];
    nodes_[node].first_child = static_cast<uint32_t>(nodes_.size());
    while (begin < end) {
      const char byte = text(begin)[depth];
      size_t next = begin;
      while (next < end && text(next)[depth] == byte) ++next;
      nodes_.push_back({.byte = static_cast<uint8_t>(byte)});
      ranges.push_back({begin, next, depth + 1});
      ++nodes_[node].child_count;
      begin = next;
    }
  }
}

void Partition::LinkNodes() {
  for (uint32_t node = 0; node < nodes_.size(); ++node) {
    for (uint32_t i = 0; i < nodes_[node].child_count; ++i) {
      const uint32_t child = nodes_[node].first_child + i;
      nodes_[child].fail = node == 0 ? 0 : Next(nodes_[node].fail, nodes_[child].byte);
    }
  }
}

uint32_t Partition::Child(uint32_t node, uint8_t byte) const {
  const auto begin = nodes_.begin() + nodes_[node].first_child;
  const auto end = begin + nodes_[node].child_count;
  const auto found = std::lower_bound(
      begin, end, byte, [](const Node& n, uint8_t wanted) { return n.byte < wanted; });
  return found == end || found->byte != byte ? 0 : static_cast<uint32_t>(found - nodes_.begin());
}

uint32_t Partition::Next(uint32_t node, uint8_t byte) const {
  while (true) {
    if (const uint32_t child = Child(node, byte)) return child;
    if (node == 0) return 0;
    node = nodes_[node].fail;
  }
}

std::vector<bool> Partition::Occurring(std::string_view text) const {
  std::vector<bool> seen(nodes_.size());
  uint32_t node = 0;
  for (const char c : text) {
    node = Next(node, static_cast<uint8_t>(c));
    seen[node] = true;
  }
  std::vector<bool> occurs(by_length_.size());
  // A node's suffixes occur where it does; they are shorter, so they stand before it.
  for (size_t i = nodes_.size(); i-- > 1;) {
    if (!seen[i]) continue;
    seen[nodes_[i].fail] = true;
    if (nodes_[i].token >= 0) occurs[static_cast<size_t>(nodes_[i].token)] = true;
  }
  return occurs;
}

void Partition::CutAround(std::string_view text, TokenId id, const Fragment& fragment,
                          std::vector<Fragment>& out) const {
  const Token& token = vocab_[id];
  size_t begin = fragment.begin;
  const size_t end = fragment.begin + fragment.size;
  while (begin < end) {
    const size_t match = text.substr(0, end).find(token.text, begin);
    if (match == std::string_view::npos) break;
    size_t left_end = match;
    if (token.Is(kTraitLeftStrip)) {
      while (left_end > begin && IsSpaceByte(text[left_end - 1])) --left_end;
    }
    if (left_end > begin) out.push_back({begin, left_end - begin});
    out.push_back({match, token.text.size(), id});
    begin = match + token.text.size();
    if (token.Is(kTraitRightStrip)) {
      while (begin < end && IsSpaceByte(text[begin])) ++begin;
    }
  }
  if (begin < end) out.push_back({begin, end - begin});
}

std::vector<Fragment> Partition::Cut(std::string_view text, bool parse_special) const {
  std::vector<Fragment> fragments, next;
  if (text.empty()) return fragments;
  fragments.push_back({0, text.size()});
  const std::vector<bool> occurs = Occurring(text);
  for (size_t i = 0; i < by_length_.size(); ++i) {
    const TokenId id = by_length_[i];
    if (!occurs[i] || (!parse_special && vocab_[id].Is(kTraitControl | kTraitUnknown))) continue;
    next.clear();
    for (const Fragment& fragment : fragments) {
      if (fragment.token >= 0) {
        next.push_back(fragment);
      } else {
        CutAround(text, id, fragment, next);
      }
    }
    fragments.swap(next);
  }
  return fragments;
}

}  // namespace quern
