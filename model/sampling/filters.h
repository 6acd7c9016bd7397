#pragma once

#include <cstdint>

#include "model/sampling/candidates.h"

// Samplers that keep some of the candidates. Each names the value that switches it off.
namespace quern {

// The k best; 0 or less: off.
void KeepTopK(int32_t k, Candidates& candidates);
// Those whose logit is at most n standard deviations of all logits below the best (Tang et al.
// 2024); 0 or less: off.
void KeepTopNSigma(float n, Candidates& candidates);
// The fewest whose surprise is nearest to the expected one, the entropy, and whose probabilities
// sum up to more than p (Meister et al. 2022); 1: off.
void KeepTypical(float p, Candidates& candidates);
// The fewest of the best whose probabilities sum up to p; 1: off.
void KeepTopP(float p, Candidates& candidates);
// Those with at least p times the best one's probability; 0: off.
void KeepMinP(float p, Candidates& candidates);
// Drops, of those with at least this probability, all but the last: the sampler XTC, when it is its
// turn. Above 0.5 there are never two: off.
void DropTopChoices(float threshold, Candidates& candidates);

}  // namespace quern
