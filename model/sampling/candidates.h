#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "model/tokenizer/tokenizer.h"

namespace quern {

struct Candidate {
  TokenId id;
  float logit;
};

// What is left of the vocabulary on its way through the samplers; never nothing.
class Candidates {
 public:
  // All tokens, by their ids.
  explicit Candidates(std::span<const float> logits);

  size_t size() const { return all_.size(); }
  std::span<const Candidate> all() const { return all_; }
  // For samplers that change logits: the order may not be that of the logits afterwards.
  std::span<Candidate> Change();
  // The candidate of this token, for a change of its logit; nullptr where it is gone.
  Candidate* Find(TokenId id);

  float best() const;  // the highest logit
  // Puts the best first, of all or of the first `count`; the others are dropped then.
  void Sort();
  void SortAndKeep(size_t count);
  // Drop all but the first `count`, at least one; or the first `count`, at most all but one.
  void Keep(size_t count);
  void DropFirst(size_t count);
  // In another order, or fewer.
  void Replace(std::vector<Candidate> candidates);
  // Softmax of the logits, in the present order.
  std::vector<float> Probabilities() const;

 private:
  std::vector<Candidate> all_;
  bool sorted_ = false;
};

}  // namespace quern
