#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "model/eval/estimate.h"
#include "model/eval/logits_file.h"
#include "model/eval/scoring.h"

namespace quern {

// How far a candidate's predictions lie from a base model's, over the scored tokens of a text. The
// base's distribution is P, the candidate's Q; the KL divergence is sum(P log(P / Q)).
struct Divergence {
  int64_t scored = 0, chunks = 0;
  Estimate ppl, ppl_base;
  Estimate log_ppl_ratio;  // ln(ppl / ppl_base); its error knows that both read one text
  Estimate ppl_ratio, ppl_difference;  // ppl / ppl_base, ppl - ppl_base; likewise
  double correlation = 0;              // of the two models' losses
  Estimate kld;                        // mean
  std::vector<float> kld_values;       // ascending
  Estimate delta_p, delta_p_rms;       // of the probability of the text's own token, Q - P
  std::vector<float> delta_p_values;   // ascending
  Estimate same_top;                   // share of tokens whose best prediction is the same

  // The value below which the fraction p of the sorted values lies, interpolated. Its error is half
  // of what lies between the ranks that are one standard error, sqrt(n p (1 - p)), below and above;
  // the least and the largest value have none.
  static Estimate Percentile(std::span<const float> ascending, double p);
};

using OnDivergenceChunk = std::function<void(int64_t chunk, double mean_kld)>;

// Runs both models in lockstep over the same chunks (scoring.h); nothing is written to disk.
// `on_chunk` is told each chunk's number, from 1, and the mean divergence so far. Errors:
// kUnsupported where the vocabularies differ in size, kNonFinite where logits are NaN.
Divergence CompareModels(Forward& base, Forward& candidate, std::span<const TokenId> tokens,
                         TokenId bos, const ScoringOptions& options,
                         const OnDivergenceChunk& on_chunk);

// The same with a base whose predictions lie in a file, which tells the text and its chunks, too.
Divergence CompareWithLogits(const LogitsFile& base, Forward& candidate, TokenId bos,
                             KvTypes cache_types, const OnDivergenceChunk& on_chunk);

}  // namespace quern
