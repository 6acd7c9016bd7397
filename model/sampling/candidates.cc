#include "model/sampling/candidates.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace quern {
namespace {

bool IsBetter(const Candidate& a, const Candidate& b) { return a.logit > b.logit; }

}  // namespace

Candidates::Candidates(std::span<const float> logits) {
  QUERN_CHECK(!logits.empty());
  all_.reserve(logits.size());
  for (size_t i = 0; i < logits.size(); ++i) all_.push_back({static_cast<TokenId>(i), logits[i]});
}

std::span<Candidate> Candidates::Change() {
  sorted_ = false;
  return all_;
}

Candidate* Candidates::Find(TokenId id) {
  sorted_ = false;
  const auto place = static_cast<size_t>(id);
  if (id >= 0 && place < all_.size() && all_[place].id == id) return &all_[place];
  const auto found =
      std::find_if(all_.begin(), all_.end(), [id](const Candidate& one) { return one.id == id; });
  return found == all_.end() ? nullptr : &*found;
}

float Candidates::best() const {
  return std::min_element(all_.begin(), all_.end(), IsBetter)->logit;
}

void Candidates::Sort() {
  if (!sorted_) std::stable_sort(all_.begin(), all_.end(), IsBetter);
  sorted_ = true;
}

void Candidates::SortAndKeep(size_t count) {
  const auto kept = static_cast<std::ptrdiff_t>(std::clamp<size_t>(count, 1, all_.size()));
  if (!sorted_) std::partial_sort(all_.begin(), all_.begin() + kept, all_.end(), IsBetter);
  sorted_ = true;
  Keep(count);
}

void Candidates::Keep(size_t count) { all_.resize(std::clamp<size_t>(count, 1, all_.size())); }

void Candidates::DropFirst(size_t count) {
  const size_t dropped = std::min(count, all_.size() - 1);
  all_.erase(all_.begin(), all_.begin() + static_cast<std::ptrdiff_t>(dropped));
}

void Candidates::Replace(std::vector<Candidate> candidates) {
  QUERN_CHECK(!candidates.empty());
  all_ = std::move(candidates);
  sorted_ = false;
}

std::vector<float> Candidates::Probabilities() const {
  const float most = best();
  std::vector<float> probabilities;
  probabilities.reserve(all_.size());
  float sum = 0;
  for (const Candidate& candidate : all_) {
    probabilities.push_back(std::exp(candidate.logit - most));
    sum += probabilities.back();
  }
  for (float& probability : probabilities) probability /= sum;
  return probabilities;
}

}  // namespace quern
