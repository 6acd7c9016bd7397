#include "model/runner.h"

#include <chrono>

#include "base/error.h"

namespace quern {
namespace {

double SecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

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

std::vector<float> Runner::LogitsAfter(std::span<const TokenId> tokens, KvType kv_type) {
  if (tokens.empty()) Fail(ErrorKind::kUsage, "no tokens are given");
  const auto count = static_cast<int64_t>(tokens.size());
  KvCache cache(weights_->hyper(), count, kv_type);
  const Segment segment{&cache, tokens, count - 1};
  const std::vector<float> hidden = forward_->Run({&segment, 1});
  std::vector<float> logits(static_cast<size_t>(weights_->vocab()));
  forward_->Logits(hidden.data(), 1, logits.data());
  return logits;
}

Generated Runner::Generate(std::span<const TokenId> prompt, const GenerateOptions& options,
                           const std::function<bool(TokenId)>& on_token) {
  const Hyper& hyper = weights_->hyper();
  const int64_t context = options.context > 0 ? options.context : hyper.context;
  const auto count = static_cast<int64_t>(prompt.size());
  if (count == 0) Fail(ErrorKind::kUsage, "the prompt has no tokens");
  if (count > context) {
    Fail(ErrorKind::kUsage, "the prompt has {} tokens, the context holds {}", count, context);
  }
  Sampler sampler(options.sampler);
  for (const TokenId id : prompt) sampler.Accept(id);
  KvCache cache(hyper, context, options.kv_type);
  std::vector<float> logits(static_cast<size_t>(weights_->vocab()));

  Generated result;
  auto start = std::chrono::steady_clock::now();
  Segment segment{&cache, prompt, count - 1};
  TokenId next = 0;
  for (bool is_prompt = true;; is_prompt = false) {
    const std::vector<float> hidden = forward_->Run({&segment, 1});
    forward_->Logits(hidden.data(), 1, logits.data());
    if (is_prompt) {
      result.prompt_seconds = SecondsSince(start);
      start = std::chrono::steady_clock::now();
    }
    if (static_cast<int64_t>(result.tokens.size()) == options.max_tokens) break;
    next = sampler.Sample(logits);
    if (tokenizer().IsEndOfGeneration(next)) {
      result.reason = StopReason::kEndOfGeneration;
      break;
    }
    sampler.Accept(next);
    result.tokens.push_back(next);
    if (on_token && !on_token(next)) {
      result.reason = StopReason::kCancelled;
      break;
    }
    if (static_cast<int64_t>(result.tokens.size()) == options.max_tokens) break;
    if (cache.length() == cache.capacity()) {
      result.reason = StopReason::kContext;
      break;
    }
    segment = {&cache, {&next, 1}, 0};
  }
  result.seconds = SecondsSince(start);
  return result;
}

}  // namespace quern
