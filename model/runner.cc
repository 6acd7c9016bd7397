#include "model/runner.h"

#include "base/error.h"
#include "model/session.h"

namespace quern {

std::unique_ptr<Runner> Runner::Open(const std::filesystem::path& path) {
  return Open(GgufModel::Open(path), {});
}

std::unique_ptr<Runner> Runner::Open(std::shared_ptr<const GgufModel> model,
                                     Adaptation adaptation) {
  return std::unique_ptr<Runner>(new Runner(std::move(model), std::move(adaptation)));
}

Runner::Runner(std::shared_ptr<const GgufModel> model, Adaptation adaptation)
    : model_(std::move(model)),
      keys_(std::move(adaptation.keys)),
      weights_(Weights::Load(model_, std::move(adaptation))),
      forward_(std::make_unique<Forward>(*weights_)) {}

const Tokenizer& Runner::tokenizer() {
  if (!tokenizer_) {
    auto made = Tokenizer::FromMetadata(metadata());
    if (made->size() > weights_->vocab()) {
      Fail(ErrorKind::kBadInput, "{}: the tokenizer has {} tokens, token_embd.weight {}",
           model_->name(), made->size(), weights_->vocab());
    }
    tokenizer_ = std::move(made);
  }
  return *tokenizer_;
}

std::vector<float> Runner::LogitsAfter(std::span<const TokenId> tokens, KvTypes cache_types) {
  if (tokens.empty()) Fail(ErrorKind::kUsage, "no tokens are given");
  const auto count = static_cast<int64_t>(tokens.size());
  KvCache cache(weights_->hyper(), count, cache_types);
  const Segment segment{&cache, tokens, count - 1};
  const std::vector<float> hidden = forward_->Run({&segment, 1});
  std::vector<float> logits(static_cast<size_t>(weights_->vocab()));
  forward_->Logits(hidden.data(), 1, logits.data());
  return logits;
}

Generated Runner::Generate(std::span<const TokenId> prompt, const GenerateOptions& options,
                           const std::function<bool(TokenId)>& on_token) {
  return Session(*this, options).Continue(prompt, options.max_tokens, on_token);
}

}  // namespace quern
