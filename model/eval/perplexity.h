#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "model/eval/logits_file.h"
#include "model/eval/scoring.h"

namespace quern {

struct PerplexityResult {
  double perplexity = 0;
  double error = 0;  // standard error
  int64_t scored = 0, chunks = 0;
};

// The perplexity of a text's tokens by the method of llama-perplexity (scoring.h). `on_chunk` is
// told each chunk's number, from 1, and the perplexity so far. The logits go into `save`, too,
// which is left to be committed; null: nowhere. Errors as of ForEachScored, and kNonFinite where
// logits are NaN.
PerplexityResult Perplexity(Forward& forward, std::span<const TokenId> tokens, TokenId bos,
                            const ScoringOptions& options,
                            const std::function<void(int64_t, double)>& on_chunk,
                            LogitsFileWriter* save = nullptr);

}  // namespace quern
