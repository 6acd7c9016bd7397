#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "model/sampling/candidates.h"
#include "model/sampling/dry.h"
#include "model/sampling/mirostat.h"
#include "model/sampling/sampler_order.h"
#include "model/tokenizer/tokenizer.h"

namespace quern {

// Names, order and defaults are llama.cpp's.
struct SamplerOptions {
  float temperature = 0.8f;   // 0 or less: the best of the tokens that are left
  int32_t top_k = 40;         // 0 or less: all
  float typical_p = 1.0f;     // 1: off
  float top_p = 0.95f;        // 1: off
  float min_p = 0.05f;        // 0: off
  float top_n_sigma = -1.0f;  // 0 or less: off
  float xtc_probability = 0;  // 0: off
  float xtc_threshold = 0.1f;
  float repeat_penalty = 1.0f;
  float frequency_penalty = 0.0f;
  float presence_penalty = 0.0f;
  int32_t penalty_last_n = 64;  // tokens that the penalties look back on; -1: all
  DryOptions dry = {};
  MirostatOptions mirostat = {};  // where it is on, it and the temperature are all that counts
  std::vector<SamplerStep> order = DefaultSamplerOrder();
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
  void Apply(SamplerStep step, Candidates& candidates);
  void Penalize(Candidates& candidates) const;
  void Temper(Candidates& candidates) const;
  bool IsTurnOfXtc();
  TokenId SampleByMirostat(Candidates& candidates);
  size_t Draw(const Candidates& candidates);

  SamplerOptions options_;
  std::vector<TokenId> seen_;
  Mirostat mirostat_;
  std::mt19937 random_, xtc_random_;
};

}  // namespace quern
