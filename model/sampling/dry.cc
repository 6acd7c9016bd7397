#include "model/sampling/dry.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

namespace quern {
namespace {

constexpr size_t kMaxTextBytes = 40, kMaxTailTokens = 20;

void AddBreakers(const Tokenizer& tokenizer, TokenId head, std::string_view piece,
                 std::string_view text, std::vector<DryBreaker>& out) {
  if (piece.find(text) != piece.npos) {
    out.push_back({head, {}});
    return;
  }
  // The text may begin at any place in the piece and go on behind it.
  for (size_t at = piece.find(text[0]); at != piece.npos; at = piece.find(text[0], at + 1)) {
    const std::string_view end = piece.substr(at);
    if (end.size() >= text.size() || !text.starts_with(end)) continue;
    DryBreaker breaker{head, tokenizer.Encode(text.substr(end.size()), false, false)};
    if (breaker.tail.size() > kMaxTailTokens) breaker.tail.resize(kMaxTailTokens);
    out.push_back(std::move(breaker));
  }
}

// How many tokens at the end of the text belong to no breaker and stand behind the last of them;
// all, where there is none. backwards: the text from its end on.
size_t TokensBehindBreaker(const std::vector<DryBreaker>& breakers,
                           std::span<const TokenId> backwards) {
  for (size_t i = 0; i < backwards.size(); ++i) {
    bool found = false;
    size_t longest = 0;
    for (const DryBreaker& breaker : breakers) {
      const auto& tail = breaker.tail;
      if (breaker.head != backwards[i] || tail.size() > i) continue;
      // What follows the head stands before it here.
      if (!std::equal(tail.begin(), tail.end(),
                      std::make_reverse_iterator(backwards.begin() + static_cast<ptrdiff_t>(i)))) {
        continue;
      }
      found = true;
      longest = std::max(longest, tail.size());
    }
    if (found) return i - longest;
  }
  return backwards.size();
}

// lengths[i]: how far the text's beginning is the same as what stands from i on (Gusfield's Z).
std::vector<size_t> CommonLengths(std::span<const TokenId> text) {
  std::vector<size_t> lengths(text.size());
  size_t begin = 0, end = 0;  // the match that reaches farthest
  for (size_t i = 1; i < text.size(); ++i) {
    size_t length = i < end ? std::min(end - i, lengths[i - begin]) : 0;
    while (i + length < text.size() && text[length] == text[i + length]) ++length;
    lengths[i] = length;
    if (i + length > end) {
      begin = i;
      end = i + length;
    }
  }
  return lengths;
}

}  // namespace

std::vector<DryBreaker> DryBreakersOf(const Tokenizer& tokenizer,
                                      const std::vector<std::string>& texts) {
  std::vector<DryBreaker> breakers;
  for (TokenId id = 0; id < tokenizer.size(); ++id) {
    const std::string piece = tokenizer.Piece(id, /*special=*/true);
    for (const std::string& text : texts) {
      const auto start = std::string_view(text).substr(0, kMaxTextBytes);
      if (!start.empty()) AddBreakers(tokenizer, id, piece, start, breakers);
    }
  }
  return breakers;
}

void PenalizeRepeats(const DryOptions& options, std::span<const TokenId> seen,
                     Candidates& candidates) {
  if (!options.on()) return;
  const size_t window = std::min(seen.size(), static_cast<size_t>(options.last_n));
  const int32_t allowed = options.allowed_length;
  if (static_cast<int64_t>(window) <= allowed) return;
  const std::vector<TokenId> backwards(seen.rbegin(),
                                       seen.rbegin() + static_cast<ptrdiff_t>(window));
  const size_t limit = TokensBehindBreaker(options.breakers, backwards);
  if (static_cast<int64_t>(limit) < allowed) return;
  // What stood behind an earlier copy of the text's end would lengthen the repetition.
  std::map<TokenId, size_t> repeated;
  const std::vector<size_t> lengths = CommonLengths(backwards);
  for (size_t i = 1; i < window; ++i) {
    const size_t length = std::min(lengths[i], limit);
    if (static_cast<int64_t>(length) < allowed) continue;
    size_t& longest = repeated[backwards[i - 1]];
    longest = std::max(longest, length);
  }
  const float most = options.base > 1.000001f
                         ? std::log(std::numeric_limits<float>::max()) / std::log(options.base)
                         : std::numeric_limits<float>::max();
  for (const auto& [id, length] : repeated) {
    const bool breaks =
        std::any_of(options.breakers.begin(), options.breakers.end(),
                    [id = id](const auto& one) { return one.head == id && one.tail.empty(); });
    Candidate* candidate = breaks ? nullptr : candidates.Find(id);
    if (candidate == nullptr) continue;
    const float exponent =
        std::min(static_cast<float>(length) - static_cast<float>(allowed), std::floor(most));
    candidate->logit -= options.multiplier * std::pow(options.base, exponent);
  }
}

}  // namespace quern
