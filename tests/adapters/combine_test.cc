#include "adapters/combine.h"

#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "adapters/dense_svd.h"
#include "adapters/low_rank_delta.h"
#include "adapters/product_svd.h"
#include "base/error.h"
#include "tests/support/golden_merge.h"
#include "tests/support/memory_source.h"
#include "tests/support/paths.h"

namespace quern {
namespace {

using testing::MemorySource;

// scale * B A of every module of an adapter, as factors.
Factors FactorsOf(const std::shared_ptr<const LoraAdapter>& adapter, const AdapterModule& module) {
  const auto a = module[AdapterPart::kA], b = module[AdapterPart::kB];
  REQUIRE(a);
  REQUIRE(b);
  Factors factors{.left = adapter->Read(*b),
                  .right = adapter->Read(*a),
                  .rows = adapter->tensor(*b).rows(),
                  .rank = adapter->tensor(*a).rows(),
                  .cols = adapter->tensor(*a).cols()};
  const double scale = adapter->rules().Scale(module.name, factors.rank);
  for (float& value : factors.left) value *= static_cast<float>(scale);
  return factors;
}

// ||p - q|| / ||q|| of the products.
double Distance(const Factors& p, const Factors& q) {
  double square = 0, wanted = 0;
  for (int64_t row = 0; row < p.rows; ++row) {
    for (int64_t col = 0; col < p.cols; ++col) {
      const auto product = [&](const Factors& f) {
        double sum = 0;
        for (int64_t k = 0; k < f.rank; ++k) {
          sum += static_cast<double>(f.left[static_cast<size_t>(row * f.rank + k)]) *
                 f.right[static_cast<size_t>(k * f.cols + col)];
        }
        return sum;
      };
      const double a = product(p), b = product(q);
      square += (a - b) * (a - b);
      wanted += b * b;
    }
  }
  return std::sqrt(square / wanted);
}

TEST_CASE("combinations of modern and shout are those of PEFT's add_weighted_adapter") {
  struct Case {
    const char* golden;
    CombineOptions options;
    double weights[2];
  };
  const Case cases[] = {
      {"combine-cat", {.combination = Combination::kCat}, {1.0, -0.5}},
      {"combine-linear", {.combination = Combination::kLinear}, {0.7, 0.3}},
      {"combine-svd", {.combination = Combination::kSvd, .svd_rank = 6}, {0.6, 0.8}},
      {"combine-ties", {.combination = Combination::kTies, .density = 0.5}, {1.0, 1.0}},
      {"combine-magnitude_prune",
       {.combination = Combination::kMagnitudePrune, .density = 0.4},
       {0.5, 0.5}},
  };
  for (const Case& c : cases) {
    INFO(c.golden);
    const auto modern = testing::Shared("models/adapters/modern");
    const auto shout = testing::Shared("models/adapters/shout");
    const auto folder = testing::Shared(std::string("models/adapters/") + c.golden);
    if (modern.empty() || shout.empty() || folder.empty()) {
      testing::SaySkipped(c.golden);
      continue;
    }
    const std::vector<WeightedAdapter> adapters = {{testing::OpenAdapter(modern), c.weights[0]},
                                                   {testing::OpenAdapter(shout), c.weights[1]}};
    const auto got = CombineAdapters(adapters, c.options);
    const std::shared_ptr<const LoraAdapter> wanted = testing::OpenAdapter(folder);
    REQUIRE(got->modules().size() == wanted->modules().size());
    for (const AdapterModule& module : got->modules()) {
      CAPTURE(module.name);
      for (const AdapterModule& other : wanted->modules()) {
        if (other.name != module.name) continue;
        CHECK(Distance(FactorsOf(got, module), FactorsOf(wanted, other)) < 1e-5);
      }
    }
  }
}

// One of 2^16 values in [-1, 1), as tests/interop/combinations.py makes them.
float Number(uint32_t seed, uint32_t index) {
  uint32_t h = (index + 1) * 2654435761u + seed * 40503u;
  h ^= h >> 13;
  h *= 1274126177u;
  return static_cast<float>((h >> 8) & 0xFFFF) / 32768.0f - 1;
}

std::vector<float> Numbers(uint32_t seed, int64_t count) {
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i) values.push_back(Number(seed, static_cast<uint32_t>(i)));
  return values;
}

TEST_CASE("every way to combine gives PEFT's product, those of whole deltas among them") {
  const auto golden =
      nlohmann::json::parse(testing::ReadText(testing::TestData("goldens/combinations.json")));
  const int64_t in = golden["in"], out = golden["out"];
  const std::string config =
      nlohmann::json{{"peft_type", "LORA"}, {"lora_alpha", golden["alpha"]}}.dump();
  std::vector<std::shared_ptr<const LoraAdapter>> made;
  for (uint32_t i = 0; i < golden["ranks"].size(); ++i) {
    const int64_t rank = golden["ranks"][i];
    made.push_back(std::make_shared<LoraAdapter>(
        ParseLoraConfig(config, "config"),
        std::make_shared<MemorySource>(
            "adapter",
            std::vector<testing::MemoryTensor>{
                {"base_model.model.m.lora_A.weight", {in, rank}, Numbers(2 * i, rank * in)},
                {"base_model.model.m.lora_B.weight",
                 {rank, out},
                 Numbers(2 * i + 1, out * rank)}})));
  }
  for (const auto& c : golden["cases"]) {
    CAPTURE(c["way"].get<std::string>());
    std::vector<WeightedAdapter> adapters;
    for (size_t i = 0; i < c["adapters"].size(); ++i) {
      adapters.push_back({made[c["adapters"][i].get<size_t>()], c["weights"][i].get<double>()});
    }
    const auto way = CombinationFromName(c["way"].get<std::string>());
    REQUIRE(way);
    const auto got = CombineAdapters(
        adapters, {.combination = *way,
                   .density = c.value("density", 1.0),
                   .by_frequency = c.value("majority_sign_method", "total") == "frequency",
                   .svd_rank = 2});
    std::vector<float> identity(static_cast<size_t>(in * in));
    for (int64_t i = 0; i < in; ++i) identity[static_cast<size_t>(i * in + i)] = 1;
    const Factors wanted{.left = c["product"].get<std::vector<float>>(),
                         .right = identity,
                         .rows = out,
                         .rank = in,
                         .cols = in};
    CHECK(Distance(FactorsOf(got, got->modules()[0]), wanted) < 1e-5);
  }
}

TEST_CASE("the best of a matrix whose singular values hardly fall is found") {
  const int64_t rows = 130, cols = 110, rank = 6;
  const std::vector<float> matrix = Numbers(5, rows * cols);
  std::vector<float> identity(static_cast<size_t>(cols * cols));
  for (int64_t i = 0; i < cols; ++i) identity[static_cast<size_t>(i * cols + i)] = 1;
  // By the whole decomposition.
  const Factors exact = TruncateProduct(
      {.left = matrix, .right = identity, .rows = rows, .rank = cols, .cols = cols}, rank);
  CHECK(Distance(TruncateMatrix(matrix, rows, cols, rank), exact) < 1e-5);
}

std::shared_ptr<LoraAdapter> Small(std::vector<float> a, std::vector<float> b) {
  const auto rank = static_cast<int64_t>(a.size() / 2);
  return std::make_shared<LoraAdapter>(
      ParseLoraConfig(R"({"peft_type": "LORA", "lora_alpha": 2})", "config"),
      std::make_shared<MemorySource>(
          "adapter", std::vector<testing::MemoryTensor>{
                         {"base_model.model.m.lora_A.weight", {2, rank}, std::move(a)},
                         {"base_model.model.m.lora_B.weight", {rank, 2}, std::move(b)}}));
}

TEST_CASE("dare drops the same elements for the same seed") {
  std::vector<float> ones(64, 1);
  const std::vector<WeightedAdapter> adapters = {{Small(ones, ones), 1}};
  const auto make = [&](uint64_t seed, Combination way = Combination::kDareLinear) {
    return CombineAdapters(adapters, {.combination = way, .density = 0.5, .seed = seed})->Read(0);
  };
  CHECK(make(1) == make(1));
  CHECK(make(1) != make(2));
  CHECK(make(1, Combination::kDareTiesSvd) == make(1, Combination::kDareTiesSvd));
  CHECK(make(1, Combination::kDareTiesSvd) != make(2, Combination::kDareTiesSvd));
  double sum = 0;
  for (const float value : make(1)) sum += value;
  // Kept elements are scaled up, so that the sum stays about the same.
  CHECK(sum / 64 == doctest::Approx(std::sqrt(2.0 / 32)).epsilon(0.4));
}

TEST_CASE("embeddings are combined too, and what PEFT saves beside them is passed over") {
  const auto adapter = [](uint32_t seed) {
    return std::make_shared<LoraAdapter>(
        ParseLoraConfig(R"({"peft_type": "LORA", "lora_alpha": 2})", "config"),
        std::make_shared<MemorySource>(
            "adapter", std::vector<testing::MemoryTensor>{
                           {"base_model.model.e.lora_embedding_A", {7, 2}, Numbers(seed, 14)},
                           {"base_model.model.e.lora_embedding_B", {2, 4}, Numbers(seed + 1, 8)},
                           {"base_model.model.e.base_layer.weight", {4, 7}, Numbers(9, 28)}}));
  };
  const std::vector<WeightedAdapter> adapters = {{adapter(1), 1}, {adapter(3), 0.5}};
  const auto made = CombineAdapters(adapters, {.combination = Combination::kCat});
  REQUIRE(made->tensors().tensors().size() == 2);
  CHECK(made->tensor(0).name == "base_model.model.e.lora_embedding_A");
  CHECK(made->tensor(0).shape == std::vector<int64_t>{7, 4});
  CHECK(made->tensor(1).shape == std::vector<int64_t>{4, 4});
  const std::vector<WeightedAdapter> mixed = {
      {adapter(1), 1},
      {std::make_shared<LoraAdapter>(
           ParseLoraConfig(R"({"peft_type": "LORA"})", "config"),
           std::make_shared<MemorySource>(
               "adapter",
               std::vector<testing::MemoryTensor>{
                   {"base_model.model.e.lora_A.weight", {7, 2}, Numbers(1, 14)},
                   {"base_model.model.e.lora_B.weight", {2, 4}, Numbers(2, 8)}})),
       1}};
  CHECK_THROWS_AS(CombineAdapters(mixed, {}), Error);
}

TEST_CASE("what cannot be combined is refused") {
  const std::vector<WeightedAdapter> unequal = {{Small({1, 2}, {3, 4}), 1},
                                                {Small({1, 2, 3, 4}, {1, 2, 3, 4}), 1}};
  CHECK_THROWS_AS(CombineAdapters(unequal, {.combination = Combination::kLinear}), Error);
  CHECK(CombineAdapters(unequal, {.combination = Combination::kCat})->tensor(0).rows() == 3);
  CHECK_THROWS_AS(CombineAdapters(unequal, {.density = 0}), Error);
  CHECK(CombinationFromName("dare_ties") == Combination::kDareTies);
  CHECK(NameOf(Combination::kMagnitudePruneSvd) == "magnitude_prune_svd");
  CHECK_FALSE(CombinationFromName("sum"));
}

TEST_CASE("a truncated product keeps what is largest") {
  // diag(3, 2, 0) as a product of rank 3, with a column that repeats another.
  const Factors product{.left = {3, 0, 3, 0, 2, 0, 0, 0, 0},
                        .right = {0.5, 0, 0, 0, 1, 0, 0.5, 0, 0},
                        .rows = 3,
                        .rank = 3,
                        .cols = 3};
  const Factors one = TruncateProduct(product, 1);
  CHECK(one.rank == 1);
  CHECK(one.left[0] * one.right[0] == doctest::Approx(3));
  CHECK(one.left[1] * one.right[1] == doctest::Approx(0));
  CHECK(Distance(TruncateProduct(product, 3), product) < 1e-6);
}

}  // namespace
}  // namespace quern
