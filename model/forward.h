#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "model/kv_cache.h"
#include "model/tokenizer/tokenizer.h"
#include "model/weights.h"

namespace quern {

// Tokens that follow those in a cache; of those from `first_output` on the results are wanted.
struct Segment {
  KvCache* cache;
  std::span<const TokenId> tokens;
  int64_t first_output = 0;
};

// Sees what enters every matrix product: x[tokens, weight.cols]. An importance matrix is made so.
class InputObserver {
 public:
  virtual ~InputObserver() = default;
  virtual void Input(std::string_view weight_name, const float* x, int64_t tokens,
                     int64_t cols) = 0;
};

// The forward pass of a decoder. Weights must outlive it; one call at a time.
class Forward {
 public:
  explicit Forward(const Weights& weights);

  // Runs the segments of independent sequences, each with its own cache, in batches and adds them
  // to their caches. Gives hidden[outputs, embd], the normed states of the wanted tokens, segment
  // by segment. Errors: kBadInput for a token that the vocabulary does not have, kUsage where a
  // cache has no room.
  std::vector<float> Run(std::span<const Segment> segments);

  // logits[count, vocab] of hidden[count, embd].
  void Logits(const float* hidden, int64_t count, float* logits) const;

  const Weights& weights() const { return weights_; }
  void set_observer(InputObserver* observer) { observer_ = observer; }

 private:
  struct Batch;
  void Check(std::span<const Segment> segments) const;
  std::vector<float> RunBatch(std::span<const Segment> segments);
  void Embed(const Batch& batch, float* x) const;
  void Attend(const LayerWeights& layer, int64_t index, const Batch& batch, float* x);
  void FeedForward(const LayerWeights& layer, int64_t tokens, float* x);
  // Linear layers that read the same x, and where each writes.
  using Output = std::pair<const Linear*, float*>;
  void Apply(std::initializer_list<Output> outputs, const float* x, int64_t tokens) const;

  const Weights& weights_;
  std::vector<double> frequencies_;
  double magnitude_;
  InputObserver* observer_ = nullptr;
  // Buffers of one batch, kept from call to call.
  std::vector<float> normed_, q_, k_, v_, attended_, gate_, up_, projected_;
};

}  // namespace quern
