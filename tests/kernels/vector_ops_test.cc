#include <limits>

#include "kernels/ops/add.h"
#include "kernels/ops/log_sum_exp.h"
#include "kernels/ops/rms_norm.h"
#include "kernels/ops/rope.h"
#include "kernels/ops/swiglu.h"
#include "tests/support/ops.h"

namespace quern {
namespace {

TEST_CASE("rms_norm equals its formula at awkward sizes, in place too") {
  testing::OnEveryTarget([] {
    for (const int64_t dim : testing::kAwkward) {
      const int64_t rows = 19;
      auto x = testing::Normal(rows * dim, 5);
      const auto w = testing::Normal(dim, 6);
      std::vector<double> wanted;
      for (int64_t r = 0; r < rows; ++r) {
        double squares = 0;
        for (int64_t i = 0; i < dim; ++i) {
          squares += std::pow(x[static_cast<size_t>(r * dim + i)], 2);
        }
        const double norm = std::sqrt(squares / static_cast<double>(dim) + 1e-3f);
        for (int64_t i = 0; i < dim; ++i) {
          wanted.push_back(w[static_cast<size_t>(i)] * x[static_cast<size_t>(r * dim + i)] / norm);
        }
      }
      std::vector<float> y(x.size());
      RmsNorm(x.data(), w.data(), 1e-3f, rows, dim, y.data());
      testing::CheckNear(y, wanted, 1e-6);
      RmsNorm(x.data(), w.data(), 1e-3f, rows, dim, x.data());
      testing::CheckNear(x, wanted, 1e-6);
    }
  });
}

TEST_CASE("swiglu equals its formula, far out as well") {
  testing::OnEveryTarget([] {
    for (const int64_t n : testing::kAwkward) {
      auto gate = testing::Normal(n, 7);
      for (float& g : gate) g *= 30.0f;
      const auto up = testing::Normal(n, 8);
      std::vector<double> wanted;
      for (size_t i = 0; i < gate.size(); ++i) {
        const double g = gate[i];
        wanted.push_back(g / (1.0 + std::exp(-g)) * up[i]);
      }
      SwiGlu(gate.data(), up.data(), n);
      testing::CheckNear(gate, wanted, 1e-6);
    }
  });
}

TEST_CASE("log_sum_exp equals its formula about any height, and passes NaN on") {
  testing::OnEveryTarget([] {
    for (const int64_t n : testing::kAwkward) {
      for (const float height : {0.0f, -300.0f, 5000.0f}) {
        auto x = testing::Normal(n, 9);
        double sum = 0;
        for (float& value : x) {
          value += height;
          sum += std::exp(static_cast<double>(value) - height);
        }
        CHECK(LogSumExp(x.data(), n) == doctest::Approx(height + std::log(sum)).epsilon(1e-6));
        x.back() = std::numeric_limits<float>::quiet_NaN();
        CHECK(std::isnan(LogSumExp(x.data(), n)));
      }
    }
  });
}

TEST_CASE("sums add in place, a bias in every row") {
  for (const int64_t n : testing::kAwkward) {
    const auto x = testing::Normal(3 * n, 10);
    auto y = testing::Normal(3 * n, 11);
    auto wanted = std::vector<double>(y.begin(), y.end());
    for (size_t i = 0; i < y.size(); ++i) {
      wanted[i] += static_cast<double>(x[i]) + x[i % static_cast<size_t>(n)];
    }
    Add(x.data(), 3 * n, y.data());
    AddBias(x.data(), 3, n, y.data());
    testing::CheckNear(y, wanted, 1e-6);
  }
}

// Pair i of both kinds turned by an angle, from the formula.
void CheckTurned(const RopeParams& params, std::span<const float> divisors, bool neighbours) {
  const int64_t dims = params.dims, head_dim = dims + 3;
  const auto frequencies = RopeFrequencies(params, divisors);
  const std::vector<int64_t> positions = {0, 1, 500};
  const double magnitude = RopeMagnitude(params);
  const RopeTable table(frequencies, magnitude, positions);
  auto x = testing::Normal(3 * 2 * head_dim, 12);
  auto wanted = std::vector<double>(x.begin(), x.end());
  for (size_t t = 0; t < 3; ++t) {
    for (size_t h = 0; h < 2; ++h) {
      const size_t head = (t * 2 + h) * static_cast<size_t>(head_dim);
      for (size_t i = 0; i < frequencies.size(); ++i) {
        const size_t a = head + (neighbours ? 2 * i : i);
        const size_t b = neighbours ? a + 1 : a + frequencies.size();
        const double angle = static_cast<double>(positions[t]) * frequencies[i];
        wanted[a] = magnitude * (x[a] * std::cos(angle) - x[b] * std::sin(angle));
        wanted[b] = magnitude * (x[a] * std::sin(angle) + x[b] * std::cos(angle));
      }
    }
  }
  Rope(table, neighbours, 3, 2, head_dim, x.data());
  testing::CheckNear(x, wanted, 1e-6);
}

TEST_CASE("rope turns neighbours or halves and leaves the rest of a head alone") {
  RopeParams params{.dims = 32};
  CheckTurned(params, {}, true);
  CheckTurned(params, {}, false);
  params.factor = 4;
  params.yarn = true;
  params.original_context = 128;
  CheckTurned(params, {}, true);
}

TEST_CASE("rope's frequencies: plain, linear, divided, and YaRN between the two") {
  RopeParams params{.dims = 64, .base = 10000};
  const auto plain = RopeFrequencies(params, {});
  CHECK(plain[0] == 1.0);
  CHECK(plain[16] == doctest::Approx(0.01));
  params.factor = 4;
  CHECK(RopeFrequencies(params, {})[16] == doctest::Approx(0.0025));
  CHECK(RopeMagnitude(params) == 1.0);
  params.factor = 1;
  const std::vector<float> divisors(32, 8.0f);
  CHECK(RopeFrequencies(params, divisors)[16] == doctest::Approx(0.01 / 8));
  params = {.dims = 64, .base = 10000, .factor = 4, .yarn = true, .original_context = 2048};
  const auto yarn = RopeFrequencies(params, {});
  // Pairs that turn more than 32 times over the context keep their pace, those below once slow
  // down.
  CHECK(yarn[0] == doctest::Approx(plain[0]));
  CHECK(yarn[31] == doctest::Approx(plain[31] / 4));
  CHECK(yarn[16] < plain[16]);
  CHECK(yarn[16] > plain[16] / 4);
  CHECK(RopeMagnitude(params) == doctest::Approx(1 + 0.1 * std::log(4.0)));
}

}  // namespace
}  // namespace quern
