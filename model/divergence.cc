#include "model/divergence.h"

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

Sample Compare(const float* base, const float* candidate, int64_t vocab, TokenId target) {
  const double norm_base = LogSumExp(base, vocab), norm = LogSumExp(candidate, vocab);
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

// Sums of values and of their squares.
struct Moments {
  double sum = 0, squares = 0;
  void Add(double value) {
    sum += value;
    squares += value * value;
  }
  Estimate Mean(double n) const {
    const double mean = sum / n, variance = squares / n - mean * mean;
    return {mean, n > 1 && variance > 0 ? std::sqrt(variance / (n - 1)) : 0.0};
  }
};

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

Estimate Exp(const Estimate& log) { return {std::exp(log.value), std::exp(log.value) * log.error}; }

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
  result.kld = totals.kld.Mean(n);
  result.delta_p = totals.delta_p.Mean(n);
  const Estimate squared = totals.delta_p_squared.Mean(n);
  const double rms = std::sqrt(squared.value);
  result.delta_p_rms = {rms, rms > 0 ? squared.error / (2.0 * rms) : 0.0};
  result.same_top = totals.same_top.Mean(n);
  std::sort(result.kld_values.begin(), result.kld_values.end());
  std::sort(result.delta_p_values.begin(), result.delta_p_values.end());
}

}  // namespace

double Divergence::Percentile(std::span<const float> ascending, double p) {
  if (ascending.empty()) return 0;
  const double place = p * static_cast<double>(ascending.size() - 1);
  const auto below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, ascending.size() - 1);
  const double share = place - static_cast<double>(below);
  return (1.0 - share) * ascending[below] + share * ascending[above];
}

Divergence CompareModels(Forward& base, Forward& candidate, std::span<const TokenId> tokens,
                         TokenId bos, const ScoringOptions& options,
                         const std::function<void(int64_t, double)>& on_chunk) {
  const int64_t vocab = base.weights().vocab();
  if (candidate.weights().vocab() != vocab) {
    Fail(ErrorKind::kUnsupported,
         "{} has a vocabulary of {}, {} one of {}: they cannot be compared", base.weights().name(),
         vocab, candidate.weights().name(), candidate.weights().vocab());
  }
  Divergence result;
  Totals totals;
  std::vector<Sample> samples;
  const ScoreLogits score = [&](int64_t chunk, std::span<const float* const> logits,
                                std::span<const TokenId> targets, bool last) {
    samples.resize(targets.size());
    ParallelFor(std::ssize(targets), 4, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const auto at = static_cast<size_t>(i);
        samples[at] = Compare(logits[0] + i * vocab, logits[1] + i * vocab, vocab, targets[at]);
      }
    });
    for (const Sample& sample : samples) {
      if (!std::isfinite(sample.kld) || !std::isfinite(sample.loss)) {
        Fail(ErrorKind::kNonFinite, "{}: chunk {} gives logits that are not finite",
             candidate.weights().name(), chunk + 1);
      }
      totals.Add(sample);
      result.kld_values.push_back(static_cast<float>(sample.kld));
      result.delta_p_values.push_back(static_cast<float>(sample.delta_p));
    }
    result.scored += std::ssize(targets);
    if (!last) return;
    result.chunks = chunk + 1;
    if (on_chunk) on_chunk(chunk + 1, totals.kld.sum / static_cast<double>(result.scored));
  };
  Forward* const models[] = {&base, &candidate};
  ForEachScored(models, tokens, bos, options, score);
  Conclude(totals, result);
  return result;
}

}  // namespace quern
