#include "model/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>

#include "base/error.h"

namespace quern {
namespace {

// A number in [0, 1) from 53 bits of two draws, as libstdc++'s uniform_real_distribution<double>
// makes it of a 32-bit generator; written out because the standard leaves it open.
double Uniform(std::mt19937& random) {
  const auto low = static_cast<double>(random());
  const auto high = static_cast<double>(random());
  return std::min((low + high * 0x1p32) * 0x1p-64, 1.0 - 0x1p-53);
}

}  // namespace

Sampler::Sampler(const SamplerOptions& options) : options_(options), random_(options.seed) {
  if (!(options.repeat_penalty > 0) || !std::isfinite(options.repeat_penalty)) {
    Fail(ErrorKind::kUsage, "a repetition penalty of {} is not possible, it should be positive",
         options.repeat_penalty);
  }
  for (const float value : {options.temperature, options.typical_p, options.top_p, options.min_p,
                            options.frequency_penalty, options.presence_penalty}) {
    if (!std::isfinite(value)) Fail(ErrorKind::kUsage, "a sampling option is {}", value);
  }
}

TokenId Sampler::Sample(std::span<const float> logits) {
  std::vector<float> adjusted(logits.begin(), logits.end());
  if (std::any_of(adjusted.begin(), adjusted.end(), [](float x) { return std::isnan(x); })) {
    Fail(ErrorKind::kNonFinite, "the model gives logits that are not numbers");
  }
  for (const TokenId id : options_.banned) {
    if (id >= 0 && static_cast<size_t>(id) < adjusted.size()) {
      adjusted[static_cast<size_t>(id)] = -std::numeric_limits<float>::infinity();
    }
  }
  Penalize(adjusted);
  if (options_.temperature <= 0) {
    return static_cast<TokenId>(std::max_element(adjusted.begin(), adjusted.end()) -
                                adjusted.begin());
  }
  std::vector<Candidate> candidates(adjusted.size());
  for (size_t i = 0; i < adjusted.size(); ++i) {
    candidates[i] = {static_cast<TokenId>(i), adjusted[i]};
  }
  KeepTopK(candidates);
  KeepTypical(candidates);
  KeepTopP(candidates);
  KeepMinP(candidates);
  for (Candidate& candidate : candidates) candidate.logit /= options_.temperature;
  return Draw(candidates);
}

// Logits of tokens seen of late: divided by the penalty where positive, multiplied where negative
// (Keskar et al. 2019, with the sign minded), less what frequency and presence take.
void Sampler::Penalize(std::span<float> logits) const {
  if (options_.repeat_penalty == 1.0f && options_.frequency_penalty == 0.0f &&
      options_.presence_penalty == 0.0f) {
    return;
  }
  const size_t window = options_.penalty_last_n < 0
                            ? seen_.size()
                            : std::min(seen_.size(), static_cast<size_t>(options_.penalty_last_n));
  std::unordered_map<TokenId, int> counts;
  for (size_t i = seen_.size() - window; i < seen_.size(); ++i) ++counts[seen_[i]];
  for (const auto& [id, count] : counts) {
    if (id < 0 || static_cast<size_t>(id) >= logits.size()) continue;
    float& logit = logits[static_cast<size_t>(id)];
    logit = logit > 0 ? logit / options_.repeat_penalty : logit * options_.repeat_penalty;
    logit -= static_cast<float>(count) * options_.frequency_penalty + options_.presence_penalty;
  }
}

void Sampler::KeepTopK(std::vector<Candidate>& candidates) const {
  const auto better = [](const Candidate& a, const Candidate& b) { return a.logit > b.logit; };
  if (options_.top_k > 0) {
    const auto k = std::min(candidates.size(), static_cast<size_t>(options_.top_k));
    std::partial_sort(candidates.begin(), candidates.begin() + static_cast<ptrdiff_t>(k),
                      candidates.end(), better);
    candidates.resize(k);
  } else if (options_.top_p < 1.0f || options_.typical_p < 1.0f) {
    std::stable_sort(candidates.begin(), candidates.end(), better);
  }
}

// The fewest whose surprise is nearest to the expected one, the entropy, and whose probabilities
// sum up to more than typical_p (Meister et al. 2022); the best of them first again.
void Sampler::KeepTypical(std::vector<Candidate>& candidates) const {
  if (options_.typical_p >= 1.0f) return;
  struct Surprise {
    Candidate candidate;
    float probability, distance;
  };
  std::vector<Surprise> surprises;
  float sum = 0, entropy = 0;
  for (const Candidate& candidate : candidates) {
    surprises.push_back({candidate, std::exp(candidate.logit - candidates[0].logit), 0});
    sum += surprises.back().probability;
  }
  for (Surprise& surprise : surprises) {
    surprise.probability /= sum;
    if (surprise.probability > 0) {
      entropy -= surprise.probability * std::log(surprise.probability);
    }
  }
  for (Surprise& surprise : surprises) {
    surprise.distance = std::fabs(-std::log(surprise.probability) - entropy);
  }
  std::stable_sort(surprises.begin(), surprises.end(),
                   [](const auto& a, const auto& b) { return a.distance < b.distance; });
  float reached = 0;
  candidates.clear();
  for (const Surprise& surprise : surprises) {
    candidates.push_back(surprise.candidate);
    reached += surprise.probability;
    if (reached > options_.typical_p) break;
  }
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const auto& a, const auto& b) { return a.logit > b.logit; });
}

// The fewest of the best whose probabilities sum up to top_p. Candidates are sorted.
void Sampler::KeepTopP(std::vector<Candidate>& candidates) const {
  if (options_.top_p >= 1.0f) return;
  std::vector<float> probabilities;
  float sum = 0;
  for (const Candidate& candidate : candidates) {
    probabilities.push_back(std::exp(candidate.logit - candidates[0].logit));
    sum += probabilities.back();
  }
  float reached = 0;
  for (size_t i = 0; i < candidates.size(); ++i) {
    reached += probabilities[i] / sum;
    if (reached >= options_.top_p) {
      candidates.resize(i + 1);
      return;
    }
  }
}

// Those with at least min_p times the best one's probability.
void Sampler::KeepMinP(std::vector<Candidate>& candidates) const {
  if (options_.min_p <= 0.0f) return;
  float best = candidates[0].logit;
  for (const Candidate& candidate : candidates) best = std::max(best, candidate.logit);
  const float least = best + std::log(options_.min_p);
  std::vector<Candidate> kept;
  for (const Candidate& candidate : candidates) {
    if (candidate.logit >= least || (kept.empty() && candidate.logit == best)) {
      kept.push_back(candidate);
    }
  }
  if (!kept.empty()) candidates = std::move(kept);
}

TokenId Sampler::Draw(const std::vector<Candidate>& candidates) {
  if (candidates.size() == 1) return candidates[0].id;
  float best = candidates[0].logit;
  for (const Candidate& candidate : candidates) best = std::max(best, candidate.logit);
  double sum = 0;
  for (const Candidate& candidate : candidates) sum += std::exp(candidate.logit - best);
  const double target = sum * Uniform(random_);
  double reached = 0;
  for (const Candidate& candidate : candidates) {
    reached += std::exp(candidate.logit - best);
    if (reached >= target) return candidate.id;
  }
  return candidates.back().id;
}

}  // namespace quern
