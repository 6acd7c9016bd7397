#include "model/perplexity.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/error.h"
#include "base/parallel.h"
#include "kernels/ops/log_sum_exp.h"

namespace quern {
namespace {

// Tokens of all chunks that run as one batch, and rows of logits that exist at a time: at a
// vocabulary of 128 K these are 64 MB.
constexpr int64_t kBatchTokens = 1024;
constexpr int64_t kLogitRows = 128;

}  // namespace

ChunkPlan PlanChunks(int64_t tokens, const PerplexityOptions& options) {
  const int64_t stride = options.stride;
  if (options.context < 4 || stride < 0 || stride >= options.context) {
    Fail(ErrorKind::kUsage, "a context of {} with a stride of {} leaves nothing to score",
         options.context, stride);
  }
  ChunkPlan plan;
  plan.context = options.context + stride / 2;
  plan.step = stride > 0 ? stride : plan.context;
  plan.first_scored = stride > 0 ? plan.context - stride - 1 : plan.context / 2;
  if (tokens < 2 * plan.context) {
    Fail(ErrorKind::kUsage, "the text has {} tokens, a context of {} needs at least {}", tokens,
         plan.context, 2 * plan.context);
  }
  plan.count = stride > 0 ? (tokens - plan.context + stride - 1) / stride : tokens / plan.context;
  if (options.chunks >= 0) plan.count = std::min(plan.count, options.chunks);
  if (plan.count == 0) Fail(ErrorKind::kUsage, "no chunk is left to score");
  return plan;
}

void ForEachScored(Forward& forward, std::span<const TokenId> tokens, TokenId bos,
                   const ChunkPlan& plan, KvType kv_type, const ScoreLogits& score) {
  const Hyper& hyper = forward.weights().hyper();
  const int64_t vocab = forward.weights().vocab(), embd = hyper.embd;
  const int64_t together = std::clamp<int64_t>(kBatchTokens / plan.context, 1, plan.count);
  std::vector<KvCache> caches;
  for (int64_t i = 0; i < together; ++i) caches.emplace_back(hyper, plan.context, kv_type);
  std::vector<float> logits(static_cast<size_t>(std::min(kLogitRows, plan.scored()) * vocab));
  for (int64_t first = 0; first < plan.count; first += together) {
    const int64_t count = std::min(together, plan.count - first);
    std::vector<std::vector<TokenId>> chunks;
    std::vector<Segment> segments;
    for (int64_t i = 0; i < count; ++i) {
      const auto chunk = tokens.subspan(static_cast<size_t>((first + i) * plan.step),
                                        static_cast<size_t>(plan.context));
      chunks.emplace_back(chunk.begin(), chunk.end());
      if (bos >= 0) chunks.back()[0] = bos;
    }
    for (int64_t i = 0; i < count; ++i) {
      const auto at = static_cast<size_t>(i);
      caches[at].Truncate(0);
      // The last token's prediction has no target in the chunk.
      segments.push_back(
          {&caches[at], std::span(chunks[at]).first(chunks[at].size() - 1), plan.first_scored});
    }
    const std::vector<float> hidden = forward.Run(segments);
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t row = 0; row < plan.scored(); row += kLogitRows) {
        const int64_t rows = std::min(kLogitRows, plan.scored() - row);
        forward.Logits(hidden.data() + (i * plan.scored() + row) * embd, rows, logits.data());
        const auto targets = std::span<const TokenId>(chunks[static_cast<size_t>(i)])
                                 .subspan(static_cast<size_t>(plan.first_scored + 1 + row),
                                          static_cast<size_t>(rows));
        score(first + i, logits.data(), targets, row + rows == plan.scored());
      }
    }
  }
}

PerplexityResult Perplexity(Forward& forward, std::span<const TokenId> tokens, TokenId bos,
                            const PerplexityOptions& options,
                            const std::function<void(int64_t, double)>& on_chunk) {
  const ChunkPlan plan = PlanChunks(static_cast<int64_t>(tokens.size()), options);
  const int64_t vocab = forward.weights().vocab();
  for (const TokenId id : tokens) {
    if (id < 0 || id >= vocab) {
      Fail(ErrorKind::kBadInput, "{}: token {} is not of the vocabulary of {}",
           forward.weights().name(), id, vocab);
    }
  }
  double sum = 0, squares = 0;
  int64_t scored = 0;
  std::vector<double> losses;
  // With a stride the reference keeps the chunk's own first token.
  ForEachScored(
      forward, tokens, options.stride > 0 ? -1 : bos, plan, options.kv_type,
      [&](int64_t chunk, const float* logits, std::span<const TokenId> targets, bool last) {
        losses.resize(targets.size());
        ParallelFor(static_cast<int64_t>(targets.size()), 8, [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) {
            const float* row = logits + i * vocab;
            const auto at = static_cast<size_t>(i);
            losses[at] = LogSumExp(row, vocab) - row[targets[at]];
          }
        });
        for (const double loss : losses) {
          sum += loss;
          squares += loss * loss;
        }
        scored += static_cast<int64_t>(targets.size());
        if (!std::isfinite(sum)) {
          Fail(ErrorKind::kNonFinite, "{}: chunk {} gives logits that are not finite",
               forward.weights().name(), chunk + 1);
        }
        if (last && on_chunk) on_chunk(chunk + 1, std::exp(sum / static_cast<double>(scored)));
      });
  const auto n = static_cast<double>(scored);
  const double mean = sum / n, variance = squares / n - mean * mean;
  const double perplexity = std::exp(mean);
  const double error =
      scored > 1 && variance > 0 ? perplexity * std::sqrt(variance / (n - 1)) : 0.0;
  return {perplexity, error, scored, plan.count};
}

}  // namespace quern
