#include "model/eval/scoring.h"

#include <algorithm>

#include "base/cancel.h"
#include "base/error.h"

namespace quern {
namespace {

// Tokens of all chunks that run as one batch, and rows of logits that exist at a time: at a
// vocabulary of 128 K these are 64 MB.
constexpr int64_t kBatchTokens = 1024;
constexpr int64_t kLogitRows = 128;

// The chunks [first, first + count) as the models read them.
std::vector<std::vector<TokenId>> CutChunks(std::span<const TokenId> tokens, TokenId bos,
                                            const ChunkPlan& plan, int64_t first, int64_t count) {
  std::vector<std::vector<TokenId>> chunks;
  for (int64_t i = first; i < first + count; ++i) {
    const auto chunk =
        tokens.subspan(static_cast<size_t>(i * plan.step), static_cast<size_t>(plan.context));
    chunks.emplace_back(chunk.begin(), chunk.end());
    if (bos >= 0) chunks.back()[0] = bos;
  }
  return chunks;
}

// One model with its caches, and what it made of the present chunks.
struct Reader {
  Forward* forward;
  std::vector<KvCache> caches;
  std::vector<float> hidden, logits;

  int64_t embd() const { return forward->weights().hyper().embd; }

  void Read(const std::vector<std::vector<TokenId>>& chunks, int64_t first_scored) {
    std::vector<Segment> segments;
    for (size_t i = 0; i < chunks.size(); ++i) {
      caches[i].Truncate(0);
      // What the last token predicts has no target in the chunk.
      segments.push_back(
          {&caches[i], std::span(chunks[i]).first(chunks[i].size() - 1), first_scored});
    }
    hidden = forward->Run(segments);
  }
};

}  // namespace

ChunkPlan PlanChunks(int64_t tokens, const ScoringOptions& options) {
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

void ForEachScored(std::span<Forward* const> models, std::span<const TokenId> tokens, TokenId bos,
                   const ChunkPlan& plan, KvTypes cache_types, const ScoreLogits& score) {
  QUERN_CHECK(!models.empty());
  QUERN_CHECK(std::ssize(tokens) >= (plan.count - 1) * plan.step + plan.context);
  const int64_t vocab = models[0]->weights().vocab();
  for (const TokenId id : tokens) {
    if (id < 0 || id >= vocab) {
      Fail(ErrorKind::kBadInput, "{}: token {} is not of the vocabulary of {}",
           models[0]->weights().name(), id, vocab);
    }
  }
  const int64_t together = std::clamp<int64_t>(kBatchTokens / plan.context, 1, plan.count);
  const int64_t rows_at_once = std::min(kLogitRows, plan.scored());
  std::vector<Reader> readers;
  std::vector<const float*> logits;
  for (Forward* model : models) {
    QUERN_CHECK(model->weights().vocab() == vocab);
    Reader reader{model, {}, {}, std::vector<float>(static_cast<size_t>(rows_at_once * vocab))};
    for (int64_t i = 0; i < together; ++i) {
      reader.caches.emplace_back(model->weights().hyper(), plan.context, cache_types);
    }
    readers.push_back(std::move(reader));
    logits.push_back(readers.back().logits.data());
  }
  for (int64_t first = 0; first < plan.count; first += together) {
    ThrowIfCancelled();
    const auto chunks = CutChunks(tokens, plan.overlaps() ? -1 : bos, plan, first,
                                  std::min(together, plan.count - first));
    for (Reader& reader : readers) reader.Read(chunks, plan.first_scored);
    for (size_t i = 0; i < chunks.size(); ++i) {
      for (int64_t row = 0; row < plan.scored(); row += rows_at_once) {
        const int64_t rows = std::min(rows_at_once, plan.scored() - row);
        const int64_t at = static_cast<int64_t>(i) * plan.scored() + row;
        for (Reader& reader : readers) {
          reader.forward->Logits(reader.hidden.data() + at * reader.embd(), rows,
                                 reader.logits.data());
        }
        const auto targets = std::span<const TokenId>(chunks[i]).subspan(
            static_cast<size_t>(plan.first_scored + 1 + row), static_cast<size_t>(rows));
        score(first + static_cast<int64_t>(i), logits, targets, row + rows == plan.scored());
      }
    }
  }
}

}  // namespace quern
