#include "model/sampling/filters.h"

#include <algorithm>
#include <cmath>

namespace quern {

void KeepTopK(int32_t k, Candidates& candidates) {
  if (k > 0) candidates.SortAndKeep(static_cast<size_t>(k));
}

void KeepTopNSigma(float n, Candidates& candidates) {
  if (n <= 0 || candidates.size() < 2) return;
  double sum = 0, squares = 0, count = 0;
  for (const Candidate& candidate : candidates.all()) {
    if (std::isinf(candidate.logit)) continue;  // banned
    sum += candidate.logit;
    ++count;
  }
  if (count == 0) return;
  const double mean = sum / count;
  for (const Candidate& candidate : candidates.all()) {
    if (!std::isinf(candidate.logit)) squares += std::pow(candidate.logit - mean, 2);
  }
  const double least = candidates.best() - n * std::sqrt(squares / count);
  std::vector<Candidate> kept;
  for (const Candidate& candidate : candidates.all()) {
    if (candidate.logit >= least) kept.push_back(candidate);
  }
  candidates.Replace(std::move(kept));
}

void KeepTypical(float p, Candidates& candidates) {
  if (p >= 1) return;
  struct Surprise {
    Candidate candidate;
    float probability, distance;
  };
  candidates.Sort();
  const std::vector<float> probabilities = candidates.Probabilities();
  float entropy = 0;
  for (const float probability : probabilities) {
    if (probability > 0) entropy -= probability * std::log(probability);
  }
  std::vector<Surprise> surprises;
  for (size_t i = 0; i < probabilities.size(); ++i) {
    surprises.push_back(
        {candidates.all()[i], probabilities[i], std::fabs(-std::log(probabilities[i]) - entropy)});
  }
  std::stable_sort(surprises.begin(), surprises.end(),
                   [](const auto& a, const auto& b) { return a.distance < b.distance; });
  float reached = 0;
  std::vector<Candidate> kept;
  for (const Surprise& surprise : surprises) {
    kept.push_back(surprise.candidate);
    reached += surprise.probability;
    if (reached > p) break;
  }
  candidates.Replace(std::move(kept));
  candidates.Sort();
}

void KeepTopP(float p, Candidates& candidates) {
  if (p >= 1) return;
  candidates.Sort();
  float reached = 0;
  size_t kept = 0;
  for (const float probability : candidates.Probabilities()) {
    ++kept;
    reached += probability;
    if (reached >= p) break;
  }
  candidates.Keep(kept);
}

void KeepMinP(float p, Candidates& candidates) {
  if (p <= 0) return;
  const float least = candidates.best() + std::min(std::log(p), 0.0f);
  std::vector<Candidate> kept;
  for (const Candidate& candidate : candidates.all()) {
    if (candidate.logit >= least) kept.push_back(candidate);
  }
  candidates.Replace(std::move(kept));
}

void DropTopChoices(float threshold, Candidates& candidates) {
  if (threshold > 0.5f || candidates.size() < 2) return;
  candidates.Sort();
  const std::vector<float> probabilities = candidates.Probabilities();
  const auto likely = std::find_if(probabilities.begin(), probabilities.end(),
                                   [&](float probability) { return probability < threshold; }) -
                      probabilities.begin();
  if (likely > 1) candidates.DropFirst(static_cast<size_t>(likely - 1));
}

}  // namespace quern
