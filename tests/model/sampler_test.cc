#include "model/sampler.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <map>

#include "base/error.h"

namespace quern {
namespace {

const std::vector<float> kLogits = {1.0f, 3.0f, 2.0f, -1.0f, 0.0f};

// How often each token comes in 4000 draws.
std::map<TokenId, int> Draws(const SamplerOptions& options) {
  Sampler sampler(options);
  std::map<TokenId, int> counts;
  for (int i = 0; i < 4000; ++i) ++counts[sampler.Sample(kLogits)];
  return counts;
}

SamplerOptions Plain() {
  return {.temperature = 1.0f, .top_k = 0, .top_p = 1.0f, .min_p = 0.0f, .seed = 3};
}

TEST_CASE("a temperature of zero takes the best token") {
  Sampler sampler({.temperature = 0.0f});
  CHECK(sampler.Sample(kLogits) == 1);
}

TEST_CASE("draws follow the softmax of the logits over the temperature") {
  for (const float temperature : {0.5f, 1.0f, 2.0f}) {
    SamplerOptions options = Plain();
    options.temperature = temperature;
    auto counts = Draws(options);
    double sum = 0;
    for (const float logit : kLogits) sum += std::exp(logit / temperature);
    for (size_t i = 0; i < kLogits.size(); ++i) {
      const double wanted = 4000 * std::exp(kLogits[i] / temperature) / sum;
      // Five standard deviations of a binomial count.
      CHECK(std::abs(counts[static_cast<TokenId>(i)] - wanted) < 5 * std::sqrt(wanted) + 1);
    }
  }
}

TEST_CASE("typical keeps the tokens that surprise as much as is expected") {
  // The entropy is 1.000; the surprises are 2.45, 0.45, 1.45, 4.45 and 3.45, the probabilities
  // 0.086, 0.636, 0.234, 0.012 and 0.032.
  const auto kept = [](float typical_p) {
    SamplerOptions options = Plain();
    options.typical_p = typical_p;
    std::vector<TokenId> ids;
    for (const auto& [id, count] : Draws(options)) ids.push_back(id);
    return ids;
  };
  CHECK(kept(0.2f) == std::vector<TokenId>{2});
  CHECK(kept(0.5f) == std::vector<TokenId>{1, 2});
  CHECK(kept(0.9f) == std::vector<TokenId>{0, 1, 2});
}

TEST_CASE("a banned token never comes") {
  SamplerOptions options = Plain();
  options.banned = {1, 77, -1};
  CHECK_FALSE(Draws(options).contains(1));
  options.temperature = 0;
  CHECK(Sampler(options).Sample(kLogits) == 2);
}

TEST_CASE("top-k, top-p and min-p keep the tokens they should") {
  SamplerOptions options = Plain();
  options.top_k = 2;
  CHECK(Draws(options).size() == 2);
  // Probabilities are 0.64, 0.24, 0.09, 0.03, 0.01.
  options = Plain();
  options.top_p = 0.6f;
  CHECK(Draws(options).size() == 1);
  options.top_p = 0.7f;
  CHECK(Draws(options).size() == 2);
  options.top_p = 0.9f;
  CHECK(Draws(options).size() == 3);
  options = Plain();
  options.min_p = 0.3f;
  CHECK(Draws(options).size() == 2);
  options.min_p = 1.0f;
  CHECK(Draws(options).size() == 1);
}

TEST_CASE("the repetition penalty lowers what was seen within its window") {
  SamplerOptions options{.temperature = 0.0f, .repeat_penalty = 2.0f, .penalty_last_n = 2};
  Sampler sampler(options);
  sampler.Accept(1);
  CHECK(sampler.Sample(kLogits) == 2);  // 3 / 2 is less than 2
  sampler.Accept(4);
  sampler.Accept(4);
  CHECK(sampler.Sample(kLogits) == 1);  // out of the window
  const std::vector<float> negative = {-1.0f, -1.5f};
  Sampler other(options);
  other.Accept(0);
  CHECK(other.Sample(negative) == 1);  // -1 becomes -2
}

TEST_CASE("the same seed gives the same tokens, another seed others") {
  const auto sequence = [](uint32_t seed) {
    SamplerOptions options = Plain();
    options.seed = seed;
    Sampler sampler(options);
    std::vector<TokenId> ids;
    for (int i = 0; i < 50; ++i) ids.push_back(sampler.Sample(kLogits));
    return ids;
  };
  CHECK(sequence(1) == sequence(1));
  CHECK(sequence(1) != sequence(2));
}

TEST_CASE("NaN among the logits and options without meaning are errors") {
  Sampler sampler(Plain());
  CHECK_THROWS_AS(sampler.Sample(std::vector<float>{1.0f, NAN}), Error);
  CHECK_THROWS_AS(Sampler({.repeat_penalty = 0.0f}), Error);
  CHECK_THROWS_AS(Sampler({.temperature = std::numeric_limits<float>::infinity()}), Error);
}

}  // namespace
}  // namespace quern
