#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "model/tokenizer/tokenizer.h"

namespace quern {

// Order and defaults are llama.cpp's: penalties, top-k, typical, top-p, min-p, temperature, then a
// draw.
struct SamplerOptions {
  float temperature = 0.8f;  // 0 or less: always the best token
  int32_t top_k = 40;        // 0 or less: all
  float typical_p = 1.0f;    // 1: off
  float top_p = 0.95f;       // 1: off
  float min_p = 0.05f;       // 0: off
  float repeat_penalty = 1.0f;
  float frequency_penalty = 0.0f;
  float presence_penalty = 0.0f;
  int32_t penalty_last_n = 64;  // tokens that the penalties look back on; -1: all
  uint32_t seed = 0;
  std::vector<TokenId> banned = {};  // never sampled
};

// Picks the next token. The same seed and logits give the same tokens.
class Sampler {
 public:
  // Error kUsage for a penalty that is not positive, or an option that is not finite.
  explicit Sampler(const SamplerOptions& options);

  // logits of the whole vocabulary. Error kNonFinite where one is NaN.
  TokenId Sample(std::span<const float> logits);
  // Tells the penalties of a token of the text, read or sampled.
  void Accept(TokenId token) { seen_.push_back(token); }

 private:
  struct Candidate {
    TokenId id;
    float logit;
  };
  void Penalize(std::span<float> logits) const;
  void KeepTopK(std::vector<Candidate>& candidates) const;
  void KeepTypical(std::vector<Candidate>& candidates) const;
  void KeepTopP(std::vector<Candidate>& candidates) const;
  void KeepMinP(std::vector<Candidate>& candidates) const;
  TokenId Draw(const std::vector<Candidate>& candidates);

  SamplerOptions options_;
  std::vector<TokenId> seen_;
  std::mt19937 random_;
};

}  // namespace quern
