#include "model/eval/perplexity.h"

#include <cmath>
#include <vector>

#include "base/error.h"
#include "base/parallel.h"
#include "kernels/ops/log_sum_exp.h"
#include "model/eval/estimate.h"

namespace quern {

PerplexityResult Perplexity(Forward& forward, std::span<const TokenId> tokens, TokenId bos,
                            const ScoringOptions& options,
                            const std::function<void(int64_t, double)>& on_chunk,
                            LogitsFileWriter* save) {
  const int64_t vocab = forward.weights().vocab();
  Moments moments;
  PerplexityResult result;
  std::vector<double> losses;
  const ScoreLogits score = [&](int64_t chunk, std::span<const float* const> logits,
                                std::span<const TokenId> targets, bool last) {
    losses.resize(targets.size());
    ParallelFor(std::ssize(targets), 8, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const float* row = logits[0] + i * vocab;
        const auto at = static_cast<size_t>(i);
        losses[at] = LogSumExp(row, vocab) - row[targets[at]];
      }
    });
    for (const double loss : losses) moments.Add(loss);
    result.scored += std::ssize(targets);
    if (!std::isfinite(moments.sum)) {
      Fail(ErrorKind::kNonFinite, "{}: chunk {} gives logits that are not finite",
           forward.weights().name(), chunk + 1);
    }
    if (save) save->Add(logits[0], std::ssize(targets));
    if (!last) return;
    result.chunks = chunk + 1;
    if (on_chunk) on_chunk(chunk + 1, std::exp(moments.sum / static_cast<double>(result.scored)));
  };
  Forward* const model = &forward;
  ForEachScored({&model, 1}, tokens, bos, PlanChunks(std::ssize(tokens), options), options.cache,
                score);
  const Estimate perplexity = Exp(moments.Mean(static_cast<double>(result.scored)));
  result.perplexity = perplexity.value;
  result.error = perplexity.error;
  return result;
}

}  // namespace quern
