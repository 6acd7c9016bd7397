#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "model/forward.h"

namespace quern {

struct PerplexityOptions {
  int64_t context = 512;
  int64_t chunks = -1;  // how many at most; -1: all of the text
  // 0: chunks follow each other, and of each the second half is scored. Otherwise every chunk
  // begins `stride` tokens after the last, has context + stride / 2 tokens, and the last `stride`
  // of them are scored.
  int64_t stride = 0;
  KvType kv_type = KvType::kF16;
};

struct PerplexityResult {
  double perplexity = 0;
  double error = 0;  // standard error
  int64_t scored = 0, chunks = 0;
};

// The method of llama-perplexity: the text's tokens in chunks, whose first token gives way to `bos`
// unless that is -1. `on_chunk` is told each chunk's number, from 1, and the perplexity so far.
// Errors: kUsage where the text is shorter than two contexts, kNonFinite where logits are NaN.
PerplexityResult Perplexity(Forward& forward, std::span<const TokenId> tokens, TokenId bos,
                            const PerplexityOptions& options,
                            const std::function<void(int64_t, double)>& on_chunk);

// How a text is cut for evaluation, shared by all commands that judge one.
struct ChunkPlan {
  int64_t context = 0;       // tokens of a chunk
  int64_t step = 0;          // from one chunk's start to the next
  int64_t first_scored = 0;  // logits from this position on predict the tokens that are scored
  int64_t count = 0;
  int64_t scored() const { return context - 1 - first_scored; }
};
ChunkPlan PlanChunks(int64_t tokens, const PerplexityOptions& options);

// Calls `score` with the logits of pieces of the scored positions, chunk by chunk in order:
// logits[count, vocab] that predict targets[count]. last: this piece ends the chunk.
using ScoreLogits = std::function<void(int64_t chunk, const float* logits,
                                       std::span<const TokenId> targets, bool last)>;
void ForEachScored(Forward& forward, std::span<const TokenId> tokens, TokenId bos,
                   const ChunkPlan& plan, KvType kv_type, const ScoreLogits& score);

}  // namespace quern
