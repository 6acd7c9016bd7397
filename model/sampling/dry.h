#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "model/sampling/candidates.h"
#include "model/tokenizer/tokenizer.h"

namespace quern {

// A token, with those that follow it, in which a text stands that repetitions do not go over.
struct DryBreaker {
  TokenId head;
  std::vector<TokenId> tail;
};

// "Don't repeat yourself": what would go on with a sequence that stands in the text already loses
// multiplier * base ^ (its length - allowed_length).
struct DryOptions {
  float multiplier = 0;  // 0: off
  float base = 1.75f;    // below 1: off
  int32_t allowed_length = 2;
  int32_t last_n = 64;  // tokens that it looks back on; 0: off
  std::vector<DryBreaker> breakers = {};

  bool on() const { return multiplier != 0 && base >= 1 && last_n > 0; }
};

// The tokens that these texts can begin in, with the tails that complete them; empty texts count as
// none. As the reference does it, of a text no more than 40 bytes count, of a tail 20 tokens.
std::vector<DryBreaker> DryBreakersOf(const Tokenizer& tokenizer,
                                      const std::vector<std::string>& texts);

// seen: the text so far.
void PenalizeRepeats(const DryOptions& options, std::span<const TokenId> seen,
                     Candidates& candidates);

}  // namespace quern
