#include "model/eval/divergence.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/parallel.h"
#include "kernels/ops/log_sum_exp.h"

namespace quern {
namespace {

// What one scored token says.
struct Sample {
  double loss, loss_base, kld, delta_p;
  bool same_top;
};

// Below exp(-16) a token of the base adds nothing that could be seen in the sum.
constexpr double kLeastLogP = -16.0;

// norm_base: what is subtracted from the base's values to make them log probabilities.
Sample Compare(const float* base, double norm_base, const float* candidate, int64_t vocab,
               TokenId target) {
  const double norm = LogSumExp(candidate, vocab);
  double kld = 0;
  for (int64_t i = 0; i < vocab; ++i) {
    const double log_p = base[i] - norm_base;
    if (log_p > kLeastLogP) {
      kld += std::exp(static_cast<float>(log_p)) * (log_p - (candidate[i] - norm));
    }
  }
  const double loss_base = norm_base - base[target], loss = norm - candidate[target];
  return {loss, loss_base, kld, std::exp(-loss) - std::exp(-loss_base),
          std::max_element(base, base + vocab) - base ==
              std::max_element(candidate, candidate + vocab) - candidate};
}

struct Totals {
  Moments loss, loss_base, kld, delta_p, delta_p_squared, same_top;
  double products = 0;  // of the two losses

  void Add(const Sample& sample) {
    loss.Add(sample.loss);
    loss_base.Add(sample.loss_base);
    kld.Add(sample.kld);
    delta_p.Add(sample.delta_p);
    delta_p_squared.Add(sample.delta_p * sample.delta_p);
    same_top.Add(sample.same_top ? 1.0 : 0.0);
    products += sample.loss * sample.loss_base;
  }
};

void Conclude(const Totals& totals, Divergence& result) {
  const auto n = static_cast<double>(result.scored);
  const Estimate loss = totals.loss.Mean(n), loss_base = totals.loss_base.Mean(n);
  result.ppl = Exp(loss);
  result.ppl_base = Exp(loss_base);
  const double covariance =
      n > 1 ? (totals.products / n - loss.value * loss_base.value) / (n - 1) : 0.0;
  const double errors = loss.error * loss_base.error;
  result.correlation = errors > 0 ? covariance / errors : 0.0;
  const double variance =
      loss.error * loss.error + loss_base.error * loss_base.error - 2.0 * covariance;
  result.log_ppl_ratio = {loss.value - loss_base.value, std::sqrt(std::max(variance, 0.0))};
  result.ppl_ratio = Exp(result.log_ppl_ratio);
  const double spread = result.ppl.error * result.ppl.error +
                        result.ppl_base.error * result.ppl_base.error -
                        2.0 * result.ppl.value * result.ppl_base.value * covariance;
  result.ppl_difference = {result.ppl.value - result.ppl_base.value,
                           std::sqrt(std::max(spread, 0.0))};
  result.kld = totals.kld.Mean(n);
  result.delta_p = totals.delta_p.Mean(n);
  const Estimate squared = totals.delta_p_squared.Mean(n);
  const double rms = std::sqrt(squared.value);
  result.delta_p_rms = {rms, rms > 0 ? squared.error / (2.0 * rms) : 0.0};
  result.same_top = totals.same_top.Mean(n);
  std::sort(result.kld_values.begin(), result.kld_values.end());
  std::sort(result.delta_p_values.begin(), result.delta_p_values.end());
}

// Gathers samples, chunk by chunk.
class Meter {
 public:
  Meter(const std::string& candidate, int64_t vocab, const OnDivergenceChunk& on_chunk)
      : candidate_(candidate), vocab_(vocab), on_chunk_(on_chunk) {}

  // base, candidate: [targets, vocab]. The base's rows are log probabilities or logits.
  void Add(int64_t chunk, const float* base, bool normalized, const float* candidate,
           std::span<const TokenId> targets, bool last) {
    samples_.resize(targets.size());
    ParallelFor(std::ssize(targets), 4, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const auto at = static_cast<size_t>(i);
        const float* row = base + i * vocab_;
        samples_[at] = Compare(row, normalized ? 0.0 : LogSumExp(row, vocab_),
                               candidate + i * vocab_, vocab_, targets[at]);
      }
    });
    for (const Sample& sample : samples_) {
      if (!std::isfinite(sample.kld) || !std::isfinite(sample.loss)) {
        Fail(ErrorKind::kNonFinite, "{}: chunk {} gives logits that are not finite", candidate_,
             chunk + 1);
      }
      totals_.Add(sample);
      result_.kld_values.push_back(static_cast<float>(sample.kld));
      result_.delta_p_values.push_back(static_cast<float>(sample.delta_p));
    }
    result_.scored += std::ssize(targets);
    if (!last) return;
    result_.chunks = chunk + 1;
    if (on_chunk_) on_chunk_(chunk + 1, totals_.kld.sum / static_cast<double>(result_.scored));
  }

  Divergence Conclude() {
    quern::Conclude(totals_, result_);
    return std::move(result_);
  }

 private:
  const std::string& candidate_;
  int64_t vocab_;
  const OnDivergenceChunk& on_chunk_;
  Totals totals_;
  Divergence result_;
  std::vector<Sample> samples_;
};

void CheckVocabularies(const std::string& base, int64_t vocab, const Forward& candidate) {
  if (candidate.weights().vocab() != vocab) {
    Fail(ErrorKind::kUnsupported,
         "{} has a vocabulary of {}, {} one of {}: they cannot be compared", base, vocab,
         candidate.weights().name(), candidate.weights().vocab());
  }
}

// The element of this rank, which may lie between two.
double AtRank(std::span<const float> ascending, double rank) {
  const double place = std::clamp(rank, 0.0, static_cast<double>(ascending.size() - 1));
  const auto below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, ascending.size() - 1);
  const double share = place - static_cast<double>(below);
  return (1.0 - share) * ascending[below] + share * ascending[above];
}

}  // namespace

Estimate Divergence::Percentile(std::span<const float> ascending, double p) {
  if (ascending.empty()) return {};
  const auto n = static_cast<double>(ascending.size());
  const double rank = p * (n - 1), step = std::sqrt(n * p * (1 - p));
  return {AtRank(ascending, rank),
          (AtRank(ascending, rank + step) - AtRank(ascending, rank - step)) / 2};
}

Divergence CompareModels(Forward& base, Forward& candidate, std::span<const TokenId> tokens,
                         TokenId bos, const ScoringOptions& options,
                         const OnDivergenceChunk& on_chunk) {
  const int64_t vocab = base.weights().vocab();
  CheckVocabularies(base.weights().name(), vocab, candidate);
  Meter meter(candidate.weights().name(), vocab, on_chunk);
  Forward* const models[] = {&base, &candidate};
  ForEachScored(
      models, tokens, bos, PlanChunks(std::ssize(tokens), options), options.cache,
      [&](int64_t chunk, std::span<const float* const> logits, std::span<const TokenId> targets,
          bool last) { meter.Add(chunk, logits[0], false, logits[1], targets, last); });
  return meter.Conclude();
}

Divergence CompareWithLogits(const LogitsFile& base, Forward& candidate, TokenId bos,
                             KvTypes cache_types, const OnDivergenceChunk& on_chunk) {
  CheckVocabularies(base.name(), base.vocab(), candidate);
  Meter meter(candidate.weights().name(), base.vocab(), on_chunk);
  std::vector<float> log_probs;
  int64_t row = 0;
  Forward* const model = &candidate;
  ForEachScored({&model, 1}, base.tokens(), bos, base.plan(), cache_types,
                [&](int64_t chunk, std::span<const float* const> logits,
                    std::span<const TokenId> targets, bool last) {
                  log_probs.resize(targets.size() * static_cast<size_t>(base.vocab()));
                  base.ReadLogProbs(row, std::ssize(targets), log_probs.data());
                  row += std::ssize(targets);
                  meter.Add(chunk, log_probs.data(), true, logits[0], targets, last);
                });
  return meter.Conclude();
}

}  // namespace quern
