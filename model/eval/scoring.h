#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "model/forward.h"

namespace quern {

struct ScoringOptions {
  int64_t context = 512;
  int64_t chunks = -1;  // how many at most; -1: all of the text
  // 0: chunks follow each other, and of each the second half is scored. Otherwise every chunk
  // begins `stride` tokens after the last, has context + stride / 2 tokens, and the last `stride`
  // of them are scored.
  int64_t stride = 0;
  KvTypes cache;
};

// How a text is cut for evaluation, by the method of llama-perplexity.
struct ChunkPlan {
  int64_t context = 0;       // tokens of a chunk
  int64_t step = 0;          // from one chunk's start to the next
  int64_t first_scored = 0;  // logits from this position on predict the tokens that are scored
  int64_t count = 0;
  int64_t scored() const { return context - 1 - first_scored; }
  bool overlaps() const { return step < context; }
};

// What the first token of each chunk gives way to: BOS, or -1 where the tokenizer adds none.
inline TokenId FirstOfChunk(const Tokenizer& tokenizer) {
  return tokenizer.adds_bos() ? tokenizer.bos() : -1;
}

// Error kUsage where the text is shorter than two contexts.
ChunkPlan PlanChunks(int64_t tokens, const ScoringOptions& options);

// Is given the logits of pieces of the scored positions, chunk by chunk in order: logits[i] is
// [count, vocab] of the i-th model and predicts targets[count]. last: this piece ends the chunk.
using ScoreLogits = std::function<void(int64_t chunk, std::span<const float* const> logits,
                                       std::span<const TokenId> targets, bool last)>;

// Runs one or several models, whose vocabularies have the same size, over the same chunks. The
// first token of each chunk gives way to `bos`, unless that is -1 or the chunks overlap (as the
// reference has it). Error kBadInput for a token that is not of the vocabulary.
void ForEachScored(std::span<Forward* const> models, std::span<const TokenId> tokens, TokenId bos,
                   const ChunkPlan& plan, KvTypes cache_types, const ScoreLogits& score);

}  // namespace quern
