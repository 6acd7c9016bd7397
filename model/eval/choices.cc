#include "model/eval/choices.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/cancel.h"
#include "base/error.h"
#include "base/parallel.h"
#include "kernels/ops/log_sum_exp.h"

namespace quern {
namespace {

// Tokens of the tasks that run together, and rows of logits that exist at a time.
constexpr size_t kTogetherTokens = 2048;
constexpr int64_t kLogitRows = 128;

// Winogrande: with no more tokens than these behind what the texts share, the word itself counts.
constexpr size_t kShortTail = 3;

// Sequences that begin alike; [shared, end) of each is scored.
struct Sequences {
  std::vector<std::vector<TokenId>> tokens;
  size_t shared = 0;  // at least 1, less than any length
  // log p of tokens[i][shared + k] after all before it.
  std::vector<std::vector<double>> log_probs;

  size_t total() const {
    return std::accumulate(tokens.begin(), tokens.end(), shared,
                           [&](size_t sum, const auto& t) { return sum + t.size() - shared; });
  }
};

size_t CommonPrefix(const std::vector<std::vector<TokenId>>& all) {
  size_t common = all[0].size();
  for (const auto& tokens : all) {
    const size_t most = std::min(common, tokens.size());
    common = static_cast<size_t>(std::mismatch(tokens.begin(),
                                               tokens.begin() + static_cast<std::ptrdiff_t>(most),
                                               all[0].begin())
                                     .first -
                                 tokens.begin());
  }
  return common;
}

// A task on its way: its sequences, and which of their tokens count.
struct Prepared {
  const ChoiceTask* task;
  size_t common = 0;
  Sequences sequences;
  std::vector<size_t> heads;  // tokens of each head
};

Prepared Prepare(const ChoiceTask& task, const Tokenizer& tokenizer, size_t number) {
  Prepared prepared{&task, 0, {}, {}};
  Sequences& sequences = prepared.sequences;
  for (const std::string& text : task.texts) {
    sequences.tokens.push_back(tokenizer.Encode(text, true, false));
    if (sequences.tokens.back().size() < 2) {
      Fail(ErrorKind::kBadInput, "task {}: a choice has fewer than two tokens", number + 1);
    }
  }
  for (const std::string& head : task.heads) {
    prepared.heads.push_back(tokenizer.Encode(head, true, false).size());
  }
  prepared.common = CommonPrefix(sequences.tokens);
  sequences.shared = std::max<size_t>(prepared.common, 1);
  for (const auto& tokens : sequences.tokens) {
    sequences.shared = std::min(sequences.shared, tokens.size() - 1);
  }
  return prepared;
}

bool HasLongTail(const Prepared& prepared) {
  const auto& tokens = prepared.sequences.tokens;
  return !prepared.heads.empty() &&
         std::all_of(tokens.begin(), tokens.begin() + 2,
                     [&](const auto& t) { return t.size() - prepared.common > kShortTail; });
}

// The reference scores the second word's first token, where words are scored, by what it foretells
// behind the whole first text. Published scores hold that, so a sequence that gives it is added.
void AddReferenceQuirk(Prepared& prepared) {
  if (prepared.heads.empty() || HasLongTail(prepared)) return;
  auto& tokens = prepared.sequences.tokens;
  if (prepared.common >= tokens[1].size()) return;
  tokens.push_back(tokens[0]);
  tokens.back().push_back(tokens[1][prepared.common]);
}

class Reader {
 public:
  Reader(Forward& forward, KvTypes cache_types) : forward_(forward), cache_types_(cache_types) {}

  // Fills in the log probabilities of all sequences: what they share is read once, and the i-th
  // sequences of all tasks run together.
  void Read(std::span<Prepared> tasks) {
    std::vector<KvCache> caches;
    std::vector<Place> places;
    std::vector<Segment> segments;
    size_t most = 0;
    for (Prepared& task : tasks) {
      size_t longest = 0;
      for (const auto& tokens : task.sequences.tokens) longest = std::max(longest, tokens.size());
      caches.emplace_back(forward_.weights().hyper(), static_cast<int64_t>(longest), cache_types_);
      task.sequences.log_probs.resize(task.sequences.tokens.size());
      most = std::max(most, task.sequences.tokens.size());
    }
    for (size_t t = 0; t < tasks.size(); ++t) {
      Sequences& s = tasks[t].sequences;
      segments.push_back(
          {&caches[t], std::span(s.tokens[0]).first(s.shared), static_cast<int64_t>(s.shared) - 1});
    }
    const std::vector<float> shared = forward_.Run(segments);
    const auto embd = static_cast<size_t>(forward_.weights().hyper().embd);
    for (size_t i = 0; i < most; ++i) {
      places.clear();
      segments.clear();
      std::vector<float> hidden;
      std::vector<size_t> first_rows;
      for (size_t t = 0; t < tasks.size(); ++t) {
        Sequences& s = tasks[t].sequences;
        if (i >= s.tokens.size()) continue;
        caches[t].Truncate(static_cast<int64_t>(s.shared));
        const auto rest = std::span(s.tokens[i]).subspan(s.shared);
        places.push_back({&s, i, shared.data() + t * embd});
        segments.push_back({&caches[t], rest.first(rest.size() - 1), 0});
      }
      Score(places, forward_.Run(segments));
    }
  }

 private:
  struct Place {
    Sequences* sequences;
    size_t index;
    const float* before;  // the state after what is shared
  };

  // states: of all tokens behind the shared ones, without the last, sequence by sequence.
  void Score(std::span<const Place> places, const std::vector<float>& states) {
    const auto embd = static_cast<size_t>(forward_.weights().hyper().embd);
    const int64_t vocab = forward_.weights().vocab();
    std::vector<float> rows;
    std::vector<TokenId> targets;
    size_t used = 0;
    for (const Place& place : places) {
      const auto scored =
          std::span(place.sequences->tokens[place.index]).subspan(place.sequences->shared);
      const size_t count = (scored.size() - 1) * embd;
      rows.insert(rows.end(), place.before, place.before + embd);
      rows.insert(rows.end(), states.begin() + static_cast<std::ptrdiff_t>(used),
                  states.begin() + static_cast<std::ptrdiff_t>(used + count));
      used += count;
      targets.insert(targets.end(), scored.begin(), scored.end());
    }
    std::vector<double> log_probs(targets.size());
    std::vector<float> logits(static_cast<size_t>(kLogitRows * vocab));
    for (int64_t first = 0; first < std::ssize(targets); first += kLogitRows) {
      const int64_t count = std::min(kLogitRows, std::ssize(targets) - first);
      forward_.Logits(rows.data() + static_cast<size_t>(first) * embd, count, logits.data());
      ParallelFor(count, 8, [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) {
          const float* row = logits.data() + r * vocab;
          const auto at = static_cast<size_t>(first + r);
          log_probs[at] = row[targets[at]] - LogSumExp(row, vocab);
        }
      });
    }
    auto next = log_probs.begin();
    for (const Place& place : places) {
      auto& out = place.sequences->log_probs[place.index];
      const auto count = static_cast<std::ptrdiff_t>(place.sequences->tokens[place.index].size() -
                                                     place.sequences->shared);
      out.assign(next, next + count);
      next += count;
    }
  }

  Forward& forward_;
  KvTypes cache_types_;
};

double Mean(std::span<const double> values) {
  if (values.empty()) return 0;
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// Of one text of a Winogrande task.
double TailScore(const Prepared& prepared, size_t choice) {
  const Sequences& s = prepared.sequences;
  const bool long_tail = HasLongTail(prepared);
  const size_t size = s.tokens[choice].size();
  const size_t first =
      std::clamp(long_tail ? prepared.heads[choice] : prepared.common, s.shared, size - 1);
  const size_t end = size - first > 1 ? size - 1 : size;
  std::vector<double> scored(
      s.log_probs[choice].begin() + static_cast<std::ptrdiff_t>(first - s.shared),
      s.log_probs[choice].begin() + static_cast<std::ptrdiff_t>(end - s.shared));
  if (choice == 1 && s.tokens.size() > 2) scored[0] = s.log_probs[2].back();
  return Mean(scored);
}

size_t Choose(const Prepared& prepared) {
  if (!prepared.heads.empty()) return TailScore(prepared, 0) > TailScore(prepared, 1) ? 0 : 1;
  const auto& log_probs = prepared.sequences.log_probs;
  size_t best = 0;
  for (size_t i = 1; i < log_probs.size(); ++i) {
    if (Mean(log_probs[i]) > Mean(log_probs[best])) best = i;
  }
  return best;
}

}  // namespace

double ChoiceScore::share() const {
  return tasks > 0 ? static_cast<double>(correct) / static_cast<double>(tasks) : 0;
}

double ChoiceScore::error() const {
  return tasks > 1 ? std::sqrt(share() * (1 - share()) / static_cast<double>(tasks - 1)) : 0;
}

double ChoiceScore::Wilson(int sign) const {
  constexpr double kZ = 1.95996398454;  // 97.5 % of a normal distribution lie below
  if (tasks == 0) return 0;
  const auto n = static_cast<double>(tasks);
  const double z = kZ * kZ / n, p = share();
  const double half = std::sqrt(z * (4 * p * (1 - p) + z)) / 2;
  return (p + z / 2 + sign * half) / (1 + z);
}

ChoiceScore ScoreChoices(Forward& forward, const Tokenizer& tokenizer,
                         std::span<const ChoiceTask> tasks, KvTypes cache_types,
                         const std::function<void(const ChoiceScore&)>& on_task) {
  Reader reader(forward, cache_types);
  ChoiceScore score;
  int64_t choices = 0;
  std::vector<Prepared> together;
  size_t next = 0;
  while (next < tasks.size()) {
    ThrowIfCancelled();
    together.clear();
    for (size_t sum = 0; next < tasks.size(); ++next) {
      Prepared prepared = Prepare(tasks[next], tokenizer, next);
      AddReferenceQuirk(prepared);
      sum += prepared.sequences.total();
      if (sum > kTogetherTokens && !together.empty()) break;
      together.push_back(std::move(prepared));
    }
    reader.Read(together);
    for (const Prepared& prepared : together) {
      choices += std::ssize(prepared.task->texts);
      ++score.tasks;
      if (prepared.task->right[Choose(prepared)]) ++score.correct;
      score.chance = static_cast<double>(score.tasks) / static_cast<double>(choices);
      if (on_task) on_task(score);
    }
  }
  return score;
}

}  // namespace quern
