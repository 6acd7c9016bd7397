#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "model/runner.h"

namespace quern {

// A text that goes on: what the model has read stays in its cache from one continuation to the
// next, so that of a conversation only what is new is read.
class Session {
 public:
  // options: max_tokens does not count here. The runner must outlive the session.
  Session(Runner& runner, const GenerateOptions& options);

  // Where the context is full, forgets half of the text behind the first `keep` tokens and goes on,
  // instead of stopping. What stays is read again, at its new place.
  void ShiftContext(int64_t keep) { keep_ = keep; }

  // Reads `text`, of which the beginning that the cache has already is left as it is, and continues
  // it; `on_token` sees each token and cancels by returning false. max_tokens: -1 for no limit.
  // Error kUsage where the text is empty or does not fit the context.
  Generated Continue(std::span<const TokenId> text, int64_t max_tokens,
                     const std::function<bool(TokenId)>& on_token = {});

  int64_t capacity() const { return cache_.capacity(); }

 private:
  void Read(std::span<const TokenId> tokens);
  void Forget();

  Runner& runner_;
  Sampler sampler_;
  KvCache cache_;
  std::optional<int64_t> keep_;
  std::vector<TokenId> read_;  // the tokens in the cache
  std::vector<float> logits_;  // after the last of them
};

}  // namespace quern
