#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "model/eval/choice_tasks.h"
#include "model/forward.h"
#include "model/tokenizer/tokenizer.h"

namespace quern {

// How many tasks a model got right.
struct ChoiceScore {
  int64_t tasks = 0, correct = 0;
  double chance = 0;  // what guessing gets right

  double share() const;
  double error() const;  // standard error of the share
  // The ends of the share's 95 % interval by Wilson's score (Wilson 1927).
  double lowest() const { return Wilson(-1); }
  double highest() const { return Wilson(1); }

 private:
  double Wilson(int sign) const;
};

// The model's choice is the text whose tokens are the most probable on average: those behind what
// all texts begin with. Where a task has heads, and more than three tokens follow in each text, the
// tokens behind the head count, without the last; this is llama-perplexity's Winogrande score, and
// so is that the first of equals wins elsewhere, the second here. `on_task` is told the score so
// far. Error kBadInput for a text that has no token to foretell.
ChoiceScore ScoreChoices(Forward& forward, const Tokenizer& tokenizer,
                         std::span<const ChoiceTask> tasks, KvTypes cache_types,
                         const std::function<void(const ChoiceScore&)>& on_task);

}  // namespace quern
