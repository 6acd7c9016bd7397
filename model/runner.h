#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "model/adaptation.h"
#include "model/forward.h"
#include "model/sampler.h"
#include "model/tokenizer/tokenizer.h"

namespace quern {

// Why a generation ended.
enum class StopReason { kEndOfGeneration, kLength, kContext, kCancelled };

struct GenerateOptions {
  int64_t max_tokens = -1;  // -1: until the model ends or the context is full
  int64_t context = 0;      // tokens that the cache holds; 0: what the model was trained for
  KvTypes cache;
  SamplerOptions sampler;
};

struct Generated {
  std::vector<TokenId> tokens;  // without the one that ended it
  StopReason reason = StopReason::kLength;
  double prompt_seconds = 0, seconds = 0;  // for the prompt, and for all tokens after it
};

// A GGUF model ready to run: weights, forward pass and tokenizer. This is the library's front door.
//   auto runner = Runner::Open("model.gguf");
//   auto ids = runner->tokenizer().Encode("In the beginning", true, true);
//   auto result = runner->Generate(ids, options, [](TokenId id) { return true; });
class Runner {
 public:
  // Errors as of GgufModel::Open and Weights::Load.
  static std::unique_ptr<Runner> Open(const std::filesystem::path& path);
  // The model as an adaptation of it.
  static std::unique_ptr<Runner> Open(std::shared_ptr<const GgufModel> model,
                                      Adaptation adaptation);

  const Metadata& metadata() const { return keys_ ? *keys_ : model_->metadata(); }
  const Weights& weights() const { return *weights_; }
  Forward& forward() { return *forward_; }
  // Made at the first call, since tokens can be run without it. Error kBadInput where it has more
  // tokens than the embedding.
  const Tokenizer& tokenizer();

  // Logits[vocab] after the last of these tokens.
  std::vector<float> LogitsAfter(std::span<const TokenId> tokens, KvTypes cache_types = Type::kF32);

  // Continues the prompt, token by token; `on_token` sees each and cancels by returning false.
  // Error kUsage where the prompt is empty or does not fit the context.
  Generated Generate(std::span<const TokenId> prompt, const GenerateOptions& options,
                     const std::function<bool(TokenId)>& on_token = {});

 private:
  Runner(std::shared_ptr<const GgufModel> model, Adaptation adaptation);

  std::shared_ptr<const GgufModel> model_;
  std::optional<Metadata> keys_;  // instead of the file's
  std::unique_ptr<Weights> weights_;
  std::unique_ptr<Forward> forward_;
  std::unique_ptr<Tokenizer> tokenizer_;
};

}  // namespace quern
