// The samplers one by one, on distributions that are known.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "base/error.h"
#include "model/sampler.h"
#include "model/sampling/filters.h"

namespace quern {
namespace {

// Probabilities 0.086, 0.636, 0.234, 0.012 and 0.032.
const std::vector<float> kLogits = {1.0f, 3.0f, 2.0f, -1.0f, 0.0f};

std::vector<TokenId> IdsOf(const Candidates& candidates) {
  std::vector<TokenId> ids;
  for (const Candidate& candidate : candidates.all()) ids.push_back(candidate.id);
  std::sort(ids.begin(), ids.end());
  return ids;
}

using Ids = std::vector<TokenId>;

template <class Filter>
Ids Kept(const Filter& filter) {
  Candidates candidates(kLogits);
  filter(candidates);
  return IdsOf(candidates);
}

TEST_CASE("top-n-sigma keeps what lies within so many standard deviations of the best") {
  // The mean is 1, the standard deviation the root of 2.
  const auto kept = [](float n) { return Kept([&](Candidates& c) { KeepTopNSigma(n, c); }); };
  CHECK(kept(0.5f) == Ids{1});
  CHECK(kept(1.0f) == Ids{1, 2});
  CHECK(kept(2.0f) == Ids{0, 1, 2});
  CHECK(kept(9.0f) == Ids{0, 1, 2, 3, 4});
  CHECK(kept(-1.0f) == Ids{0, 1, 2, 3, 4});
}

TEST_CASE("XTC drops all likely tokens but the last") {
  const auto kept = [](float threshold) {
    return Kept([&](Candidates& c) { DropTopChoices(threshold, c); });
  };
  CHECK(kept(0.05f) == Ids{0, 3, 4});
  CHECK(kept(0.2f) == Ids{0, 2, 3, 4});
  CHECK(kept(0.3f) == Ids{0, 1, 2, 3, 4});
  CHECK(kept(0.6f) == Ids{0, 1, 2, 3, 4});
}

TEST_CASE("XTC has its turn as often as its probability says") {
  SamplerOptions options{.temperature = 1.0f, .top_k = 0, .top_p = 1.0f, .min_p = 0.0f};
  options.xtc_threshold = 0.2f;
  options.xtc_probability = 0.25f;
  Sampler sampler(options);
  int best = 0;
  for (int i = 0; i < 4000; ++i) best += sampler.Sample(kLogits) == 1;
  const double wanted = 4000 * 0.75 * 0.6364;
  CHECK(std::abs(best - wanted) < 5 * std::sqrt(wanted));
}

// The logit that DRY leaves of zero for each of six tokens.
std::vector<float> AfterDry(const DryOptions& options, const Ids& seen) {
  Candidates candidates(std::vector<float>(6, 0.0f));
  PenalizeRepeats(options, seen, candidates);
  std::vector<float> logits;
  for (const Candidate& candidate : candidates.all()) logits.push_back(candidate.logit);
  return logits;
}

TEST_CASE("DRY penalizes what would lengthen a repetition, the more the longer it is") {
  DryOptions options{.multiplier = 1.0f, .base = 2.0f, .allowed_length = 2};
  const auto only = [](TokenId id, float logit) {
    std::vector<float> logits(6, 0.0f);
    logits[static_cast<size_t>(id)] = logit;
    return logits;
  };
  const std::vector<float> none(6, 0.0f);
  CHECK(AfterDry(options, {0, 1, 2, 0}) == none);
  CHECK(AfterDry(options, {0, 1, 2, 0, 1}) == only(2, -1));
  CHECK(AfterDry(options, {0, 1, 2, 3, 0, 1, 2}) == only(3, -2));
  CHECK(AfterDry(options, {5, 0, 1, 2, 3, 4, 5, 0, 1, 2}) == only(3, -4));
  // Of two earlier places the longer repetition counts, and each has its own next token.
  CHECK(AfterDry(options, {0, 1, 2, 4, 1, 2, 5, 0, 1, 2})[4] == -2);
  CHECK(AfterDry(options, {0, 1, 2, 4, 1, 2, 5, 0, 1, 2})[5] == -1);
  // Tokens that repeat themselves overlap.
  CHECK(AfterDry(options, {3, 3, 3, 3, 3}) == only(3, -4));
  options.last_n = 4;
  CHECK(AfterDry(options, {0, 1, 2, 0, 1}) == none);
  options.last_n = 64;
  options.multiplier = 0;
  CHECK(AfterDry(options, {0, 1, 2, 0, 1}) == none);
}

TEST_CASE("DRY's penalty stays finite however long the repetition is") {
  DryOptions options{.multiplier = 1.0f, .base = 3.0f, .allowed_length = 2, .last_n = 1000};
  const std::vector<float> logits = AfterDry(options, Ids(800, 3));
  CHECK(std::isfinite(logits[3]));
  CHECK(logits[3] < -1e30f);
}

TEST_CASE("DRY's repetitions end at a breaker") {
  DryOptions options{.multiplier = 1.0f, .base = 2.0f, .allowed_length = 2};
  const Ids seen = {0, 1, 2, 3, 0, 1, 2};
  const auto third = [&](std::vector<DryBreaker> breakers) {
    options.breakers = std::move(breakers);
    return AfterDry(options, seen)[3];
  };
  CHECK(third({}) == -2);
  CHECK(third({{0, {}}}) == -1);      // two tokens stand behind the 0
  CHECK(third({{0, {1}}}) == 0);      // one stands behind 0 1
  CHECK(third({{0, {2}}}) == -2);     // which is not in the text
  CHECK(third({{2, {}}}) == 0);       // the text ends in one
  CHECK(third({{3, {}}}) == 0);       // it would be the next token
  CHECK(third({{3, {0, 5}}}) == -2);  // it would not be whole
}

// A vocabulary of a few pieces; a text is encoded letter by letter, from 100 on.
class Pieces : public Tokenizer {
 public:
  explicit Pieces(std::vector<std::string> pieces) : pieces_(std::move(pieces)) {}
  std::vector<TokenId> Encode(std::string_view text, bool, bool) const override {
    std::vector<TokenId> ids;
    for (const char c : text) ids.push_back(100 + c);
    return ids;
  }
  std::string Piece(TokenId id, bool) const override { return pieces_[static_cast<size_t>(id)]; }
  int32_t size() const override { return static_cast<int32_t>(pieces_.size()); }
  TokenId bos() const override { return -1; }
  TokenId eos() const override { return -1; }
  bool adds_bos() const override { return false; }
  bool adds_space_prefix() const override { return false; }
  bool IsEndOfGeneration(TokenId) const override { return false; }

 private:
  std::vector<std::string> pieces_;
};

TEST_CASE("a breaker is found in the tokens that hold it or begin it") {
  const Pieces tokenizer({"a", "x\ny", "b#", "##", "\n"});
  const auto breakers = DryBreakersOf(tokenizer, {"\n", "#end", ""});
  REQUIRE(breakers.size() == 4);
  CHECK(breakers[0].head == 1);
  CHECK(breakers[0].tail.empty());
  const Ids end = {100 + 'e', 100 + 'n', 100 + 'd'};
  CHECK(breakers[1].head == 2);
  CHECK(breakers[1].tail == end);
  CHECK(breakers[2].head == 3);  // its second # begins the text
  CHECK(breakers[2].tail == end);
  CHECK(breakers[3].head == 4);
  CHECK(breakers[3].tail.empty());
}

// Draws by Mirostat from Zipf's distribution; the mean surprise of the last half, in bits.
double MeanSurprise(int version, float target) {
  constexpr size_t kTokens = 5000, kDraws = 4000;
  std::vector<float> probabilities(kTokens);
  for (size_t i = 0; i < kTokens; ++i) {
    probabilities[i] = std::pow(static_cast<float>(i + 1), -1.1f);
  }
  Mirostat mirostat({.version = version, .target = target});
  std::mt19937 random(1);
  const float all = std::accumulate(probabilities.begin(), probabilities.end(), 0.0f);
  for (float& p : probabilities) p /= all;
  double sum = 0;
  for (size_t i = 0; i < kDraws; ++i) {
    const size_t kept = mirostat.Keep(probabilities, kTokens);
    std::discrete_distribution<size_t> draw(probabilities.begin(),
                                            probabilities.begin() + static_cast<ptrdiff_t>(kept));
    const float total = std::accumulate(probabilities.begin(),
                                        probabilities.begin() + static_cast<ptrdiff_t>(kept), 0.0f);
    const float p = probabilities[draw(random)] / total;
    mirostat.Observe(p);
    if (i >= kDraws / 2) sum -= std::log2(p);
  }
  return sum / (kDraws / 2.0);
}

TEST_CASE("Mirostat keeps the surprise near its target") {
  for (const int version : {1, 2}) {
    for (const float target : {2.0f, 4.0f, 6.0f}) {
      CAPTURE(version);
      CAPTURE(target);
      CHECK(MeanSurprise(version, target) == doctest::Approx(target).epsilon(0.05));
    }
  }
}

TEST_CASE("Mirostat takes the place of all samplers but the temperature") {
  // The surprises are 3.54, 0.65, 2.09, 6.42 and 4.98 bits; up to twice the target are let through.
  SamplerOptions options{.temperature = 1.0f, .top_k = 1, .seed = 3};
  options.mirostat = {.version = 2, .target = 0.5f, .learning_rate = 0.0f};
  Sampler narrow(options);
  for (int i = 0; i < 50; ++i) CHECK(narrow.Sample(kLogits) == 1);
  options.mirostat.target = 1.5f;
  Sampler wide(options);
  int second = 0;
  for (int i = 0; i < 1000; ++i) {
    const TokenId id = wide.Sample(kLogits);
    CHECK((id == 1 || id == 2));
    second += id == 2;
  }
  CHECK(std::abs(second - 1000 * 0.2689) < 5 * std::sqrt(270));
  // A single token and a banned rest are drawn without an exponent.
  options.mirostat = {.version = 1};
  options.banned = {0, 2, 3, 4};
  CHECK(Sampler(options).Sample(kLogits) == 1);
  CHECK(Sampler(options).Sample(std::vector<float>{1.0f}) == 0);
}

// The tokens that come in 2000 draws.
Ids Drawn(const SamplerOptions& options) {
  Sampler sampler(options);
  Ids ids;
  for (int i = 0; i < 2000; ++i) ids.push_back(sampler.Sample(kLogits));
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

TEST_CASE("samplers work in the order that is asked for") {
  // At a temperature of 4 the probabilities are 0.188, 0.310, 0.241, 0.114 and 0.146.
  SamplerOptions options{.temperature = 4.0f, .top_k = 0, .top_p = 0.5f, .min_p = 0.0f, .seed = 3};
  CHECK(Drawn(options) == Ids{1});
  options.order = ParseSamplerNames("temperature;top_p");
  CHECK(Drawn(options) == Ids{1, 2});
  options.order = ParseSamplerNames("temp");
  CHECK(Drawn(options) == Ids{0, 1, 2, 3, 4});
  options.order = {};
  CHECK(Drawn(options) == Ids{0, 1, 2, 3, 4});
}

TEST_CASE("samplers have the peers' names and letters") {
  CHECK(ParseSamplerNames(DefaultSamplerNames()) == DefaultSamplerOrder());
  CHECK(ParseSamplerLetters(DefaultSamplerLetters()) == DefaultSamplerOrder());
  const std::vector<SamplerStep> three = {SamplerStep::kTopK, SamplerStep::kTopP,
                                          SamplerStep::kTemperature};
  for (const char* names : {"top_k;top_p;temperature", "top-k;Nucleus;temp", "topk;topp;Temp"}) {
    CHECK(ParseSamplerNames(names) == three);
  }
  CHECK(ParseSamplerLetters("kpt") == three);
  CHECK(ParseSamplerNames("typ_p;typ;typ-p").size() == 3);
  CHECK_THROWS_AS(ParseSamplerNames("top_k;no"), Error);
  CHECK_THROWS_AS(ParseSamplerLetters("k?"), Error);
}

}  // namespace
}  // namespace quern
