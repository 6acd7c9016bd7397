#include "kernels/ops/matmul.h"

#include <algorithm>

#include "kernels/codec.h"
#include "tests/support/ops.h"

namespace quern {
namespace {

// y[tokens, rows] in double of the decoded weights.
std::vector<double> Truth(const Matrix& w, const std::vector<float>& x, int64_t tokens) {
  std::vector<double> y(static_cast<size_t>(tokens * w.rows));
  std::vector<float> row(static_cast<size_t>(w.cols));
  for (int64_t r = 0; r < w.rows; ++r) {
    Decode(w.type, w.row(r), w.cols, row.data());
    for (int64_t t = 0; t < tokens; ++t) {
      double sum = 0;
      for (int64_t k = 0; k < w.cols; ++k) {
        sum += static_cast<double>(row[static_cast<size_t>(k)]) *
               x[static_cast<size_t>(t * w.cols + k)];
      }
      y[static_cast<size_t>(t * w.rows + r)] = sum;
    }
  }
  return y;
}

// Activations that rounding to 8 bits leaves as they are: integers up to 127, which every 32 reach.
std::vector<float> Whole(int64_t count, uint32_t seed) {
  auto values = testing::Normal(count, seed);
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = i % 32 == 7 ? 127.0f : std::round(std::clamp(values[i] * 30, -127.0f, 127.0f));
  }
  return values;
}

struct Encoded {
  Encoded(Type type, int64_t rows, int64_t cols)
      : bytes(static_cast<size_t>(rows * RowBytes(type, cols))),
        matrix{type, bytes.data(), rows, cols} {
    const auto weights = testing::Normal(rows * cols, static_cast<uint32_t>(rows + cols));
    EncodeRows(type, weights.data(), rows, cols, {}, bytes.data());
  }
  std::vector<std::byte> bytes;
  Matrix matrix;
};

void CheckProduct(Type type, int64_t rows, int64_t cols, int64_t tokens) {
  CAPTURE(NameOf(type));
  CAPTURE(rows);
  CAPTURE(cols);
  CAPTURE(tokens);
  const Encoded w(type, rows, cols);
  const auto x = RoundsActivations(type)
                     ? Whole(tokens * cols, static_cast<uint32_t>(tokens))
                     : testing::Normal(tokens * cols, static_cast<uint32_t>(tokens));
  std::vector<float> y(static_cast<size_t>(tokens * rows), NAN);
  MatMul(w.matrix, x.data(), tokens, y.data());
  testing::CheckNear(y, Truth(w.matrix, x, tokens), 3e-6);
}

// Types that encode fast enough for a test, without a matrix.
std::vector<Type> EncodableTypes() {
  std::vector<Type> types;
  for (const TypeInfo& info : kTypes) {
    // The encoders of the IQ grids are slow, and their rows are decoded like all others.
    const bool slow = info.name.starts_with("iq") && !info.name.starts_with("iq4");
    if (CanEncode(info.type) && CanDecode(info.type) && !slow) types.push_back(info.type);
  }
  return types;
}

TEST_CASE("a product of float32 weights has the awkward sizes right on every target") {
  testing::OnEveryTarget([] {
    for (const int64_t rows : testing::kAwkward) {
      for (const int64_t cols : testing::kAwkward) {
        for (const int64_t tokens : {1, 13, 31, 33}) CheckProduct(Type::kF32, rows, cols, tokens);
      }
    }
  });
}

TEST_CASE("a product has every type, few and many tokens, on every target") {
  testing::OnEveryTarget([] {
    for (const Type type : EncodableTypes()) {
      for (const int64_t tokens : {1, 8, 9, 40}) CheckProduct(type, 97, 768, tokens);
      // A row that ends within a run of 256.
      if (InfoOf(type).elems == 32) CheckProduct(type, 31, 288, 33);
      if (InfoOf(type).elems == 32) CheckProduct(type, 31, 32, 1);
    }
  });
}

TEST_CASE("rounded activations cost little, and as much for one token as for many") {
  for (const Type type : EncodableTypes()) {
    CAPTURE(NameOf(type));
    const Encoded w(type, 50, 1024);
    const auto x = testing::Normal(40 * 1024, 3);
    std::vector<float> many(40 * 50), one(50);
    MatMul(w.matrix, x.data(), 40, many.data());
    MatMul(w.matrix, x.data(), 1, one.data());
    testing::CheckNear(many, Truth(w.matrix, x, 40), RoundsActivations(type) ? 1e-2 : 3e-6);
    testing::CheckNear(one, std::vector<double>(many.begin(), many.begin() + 50), 1e-5);
  }
}

TEST_CASE("products that share their activations are those of each alone") {
  const Encoded a(Type::kQ4_K, 70, 512), b(Type::kQ8_0, 33, 512), c(Type::kF32, 5, 512);
  for (const int64_t tokens : {1, 20}) {
    const auto x = testing::Normal(tokens * 512, 4);
    std::vector<std::vector<float>> together, alone;
    std::vector<Product> products;
    for (const Encoded* w : {&a, &b, &c}) {
      alone.emplace_back(static_cast<size_t>(tokens * w->matrix.rows));
      MatMul(w->matrix, x.data(), tokens, alone.back().data());
      together.emplace_back(alone.back().size());
      products.push_back({&w->matrix, together.back().data()});
    }
    MatMul(products, x.data(), tokens);
    CHECK(together == alone);
  }
}

}  // namespace
}  // namespace quern
