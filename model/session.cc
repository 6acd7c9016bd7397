#include "model/session.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"

namespace quern {
namespace {

double SecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

Session::Session(Runner& runner, const GenerateOptions& options)
    : runner_(runner),
      sampler_(options.sampler),
      cache_(runner.weights().hyper(),
             options.context > 0 ? options.context : runner.weights().hyper().context,
             options.cache),
      logits_(static_cast<size_t>(runner.weights().vocab())) {}

void Session::Read(std::span<const TokenId> tokens) {
  const Segment segment{&cache_, tokens, std::ssize(tokens) - 1};
  const std::vector<float> hidden = runner_.forward().Run({&segment, 1});
  runner_.forward().Logits(hidden.data(), 1, logits_.data());
  read_.insert(read_.end(), tokens.begin(), tokens.end());
}

// Half of what stands behind the first `keep_` tokens, but for one that has to be read again.
void Session::Forget() {
  const int64_t length = std::ssize(read_);
  const int64_t keep = std::clamp<int64_t>(*keep_, 0, length - 2);
  const int64_t forgotten = std::max<int64_t>((length - keep) / 2, 1);
  const std::vector<TokenId> rest(read_.begin() + keep + forgotten, read_.end());
  cache_.Truncate(keep);
  read_.resize(static_cast<size_t>(keep));
  Read(rest);
}

Generated Session::Continue(std::span<const TokenId> text, int64_t max_tokens,
                            const std::function<bool(TokenId)>& on_token) {
  const int64_t count = std::ssize(text);
  if (count == 0) Fail(ErrorKind::kUsage, "the prompt has no tokens");
  if (count > capacity()) {
    Fail(ErrorKind::kUsage, "the prompt has {} tokens, the context holds {}", count, capacity());
  }
  Generated result;
  auto start = std::chrono::steady_clock::now();
  int64_t same = 0;
  // The last token is always read, for what follows it.
  while (same < std::min(std::ssize(read_), count - 1) &&
         read_[static_cast<size_t>(same)] == text[static_cast<size_t>(same)]) {
    ++same;
  }
  cache_.Truncate(same);
  read_.resize(static_cast<size_t>(same));
  const auto fresh = text.subspan(static_cast<size_t>(same));
  for (const TokenId id : fresh) sampler_.Accept(id);
  Read(fresh);
  result.prompt_seconds = SecondsSince(start);
  start = std::chrono::steady_clock::now();
  while (max_tokens < 0 || std::ssize(result.tokens) < max_tokens) {
    const TokenId next = sampler_.Sample(logits_);
    if (runner_.tokenizer().IsEndOfGeneration(next)) {
      result.reason = StopReason::kEndOfGeneration;
      break;
    }
    sampler_.Accept(next);
    result.tokens.push_back(next);
    if (on_token && !on_token(next)) {
      result.reason = StopReason::kCancelled;
      break;
    }
    if (std::ssize(result.tokens) == max_tokens) break;
    if (cache_.length() == capacity()) {
      if (!keep_ || capacity() < 4) {
        result.reason = StopReason::kContext;
        break;
      }
      Forget();
    }
    Read({&next, 1});
  }
  result.seconds = SecondsSince(start);
  return result;
}

}  // namespace quern
