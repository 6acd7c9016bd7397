#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "base/file.h"
#include "model/eval/scoring.h"

namespace quern {

// The files of logits that llama-perplexity writes with --save-all-logits and reads with
// --kl-divergence, little-endian: "_logits_"; u32 tokens per chunk, i32 vocabulary, i32 chunks; the
// text's i32 tokens; then for each scored position float scale, float lowest, and for each token
// of the vocabulary a u16 code, padded to an even number of them. The token's log probability is
// scale * code + lowest; what lies 16 below the best or lower has code 0.

// Reads one. Nothing that the file says is believed: every length is checked against its size.
class LogitsFile {
 public:
  // Whether a file begins as one; false where it cannot be read.
  static bool Is(const std::filesystem::path& path);
  // Error kBadInput for a file of another kind, or one that is cut short.
  explicit LogitsFile(const std::filesystem::path& path);

  const std::string& name() const { return input_.name(); }
  int64_t vocab() const { return vocab_; }
  const ChunkPlan& plan() const { return plan_; }
  std::span<const TokenId> tokens() const { return tokens_; }

  // The log probabilities [count, vocab] of scored positions from `row` on, counted through all
  // chunks. Error kBadInput where a scale is no number.
  void ReadLogProbs(int64_t row, int64_t count, float* out) const;

 private:
  InputFile input_;
  int64_t vocab_ = 0;
  ChunkPlan plan_;
  std::vector<TokenId> tokens_;
  uint64_t data_start_ = 0;
};

// Writes one; rows are added in order, and the file appears when all are there.
class LogitsFileWriter {
 public:
  // tokens: the text's; of them those of the plan's chunks are written. Error kUnsupported for
  // chunks that overlap, for which the form has no place.
  LogitsFileWriter(const std::filesystem::path& path, Overwrite overwrite,
                   std::span<const TokenId> tokens, const ChunkPlan& plan, int64_t vocab);

  // logits[count, vocab] of the next scored positions.
  void Add(const float* logits, int64_t count);
  void Commit();

 private:
  OutputFile output_;
  int64_t vocab_;
  int64_t rows_left_;
  uint64_t end_ = 0;
  std::vector<std::byte> rows_;
};

}  // namespace quern
