#include "model/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>

#include "base/error.h"
#include "model/sampling/filters.h"

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

Sampler::Sampler(const SamplerOptions& options)
    : options_(options),
      mirostat_(options.mirostat),
      random_(options.seed),
      xtc_random_(options.seed) {
  if (!(options.repeat_penalty > 0) || !std::isfinite(options.repeat_penalty)) {
    Fail(ErrorKind::kUsage, "a repetition penalty of {} is not possible, it should be positive",
         options.repeat_penalty);
  }
  for (const float value :
       {options.temperature, options.typical_p, options.top_p, options.min_p, options.top_n_sigma,
        options.xtc_probability, options.xtc_threshold, options.frequency_penalty,
        options.presence_penalty, options.dry.multiplier, options.dry.base, options.mirostat.target,
        options.mirostat.learning_rate}) {
    if (!std::isfinite(value)) Fail(ErrorKind::kUsage, "a sampling option is {}", value);
  }
}

TokenId Sampler::Sample(std::span<const float> logits) {
  if (std::any_of(logits.begin(), logits.end(), [](float x) { return std::isnan(x); })) {
    Fail(ErrorKind::kNonFinite, "the model gives logits that are not numbers");
  }
  Candidates candidates(logits);
  for (const TokenId id : options_.banned) {
    if (Candidate* candidate = candidates.Find(id)) {
      candidate->logit = -std::numeric_limits<float>::infinity();
    }
  }
  if (options_.mirostat.version != 0) return SampleByMirostat(candidates);
  for (const SamplerStep step : options_.order) Apply(step, candidates);
  return candidates.all()[Draw(candidates)].id;
}

void Sampler::Apply(SamplerStep step, Candidates& candidates) {
  switch (step) {
    case SamplerStep::kPenalties:
      return Penalize(candidates);
    case SamplerStep::kDry:
      return PenalizeRepeats(options_.dry, seen_, candidates);
    case SamplerStep::kTopNSigma:
      return KeepTopNSigma(options_.top_n_sigma, candidates);
    case SamplerStep::kTopK:
      return KeepTopK(options_.top_k, candidates);
    case SamplerStep::kTypical:
      return KeepTypical(options_.typical_p, candidates);
    case SamplerStep::kTopP:
      return KeepTopP(options_.top_p, candidates);
    case SamplerStep::kMinP:
      return KeepMinP(options_.min_p, candidates);
    case SamplerStep::kXtc:
      if (IsTurnOfXtc()) DropTopChoices(options_.xtc_threshold, candidates);
      return;
    case SamplerStep::kTemperature:
      return Temper(candidates);
  }
}

// Logits of tokens seen of late: divided by the penalty where positive, multiplied where negative
// (Keskar et al. 2019, with the sign minded), less what frequency and presence take.
void Sampler::Penalize(Candidates& candidates) const {
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
    Candidate* candidate = candidates.Find(id);
    if (candidate == nullptr) continue;
    float& logit = candidate->logit;
    logit = logit > 0 ? logit / options_.repeat_penalty : logit * options_.repeat_penalty;
    logit -= static_cast<float>(count) * options_.frequency_penalty + options_.presence_penalty;
  }
}

void Sampler::Temper(Candidates& candidates) const {
  if (options_.temperature <= 0) {
    const auto all = candidates.all();
    candidates.Replace({*std::min_element(all.begin(), all.end(), [](const auto& a, const auto& b) {
      return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
    })});
    return;
  }
  for (Candidate& candidate : candidates.Change()) candidate.logit /= options_.temperature;
}

bool Sampler::IsTurnOfXtc() {
  if (options_.xtc_probability <= 0) return false;
  const float chance = std::min(static_cast<float>(xtc_random_()) * 0x1p-32f, 1.0f - 0x1p-24f);
  return chance <= options_.xtc_probability;
}

TokenId Sampler::SampleByMirostat(Candidates& candidates) {
  const size_t vocabulary = candidates.size();
  Temper(candidates);
  candidates.Sort();
  candidates.Keep(mirostat_.Keep(candidates.Probabilities(), vocabulary));
  const size_t drawn = Draw(candidates);
  mirostat_.Observe(candidates.Probabilities()[drawn]);
  return candidates.all()[drawn].id;
}

// By the softmax of the logits.
size_t Sampler::Draw(const Candidates& candidates) {
  if (candidates.size() == 1) return 0;
  const float best = candidates.best();
  double sum = 0;
  for (const Candidate& candidate : candidates.all()) sum += std::exp(candidate.logit - best);
  const double target = sum * Uniform(random_);
  double reached = 0;
  for (size_t i = 0; i < candidates.size(); ++i) {
    reached += std::exp(candidates.all()[i].logit - best);
    if (reached >= target) return i;
  }
  return candidates.size() - 1;
}

}  // namespace quern
