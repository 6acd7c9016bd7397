#include "kernels/ops/matmul.h"

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

void CheckProduct(Type type, int64_t rows, int64_t cols, int64_t tokens) {
  CAPTURE(NameOf(type));
  CAPTURE(rows);
  CAPTURE(cols);
  CAPTURE(tokens);
  const auto weights = testing::Normal(rows * cols, static_cast<uint32_t>(rows + cols));
  std::vector<std::byte> bytes(static_cast<size_t>(rows * RowBytes(type, cols)));
  EncodeRows(type, weights.data(), rows, cols, {}, bytes.data());
  const Matrix w{type, bytes.data(), rows, cols};
  const auto x = testing::Normal(tokens * cols, static_cast<uint32_t>(tokens));
  std::vector<float> y(static_cast<size_t>(tokens * rows), NAN);
  MatMul(w, x.data(), tokens, y.data());
  testing::CheckNear(y, Truth(w, x, tokens), 2e-6);
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

TEST_CASE("a product has every type that can be encoded without a matrix, few and many tokens") {
  for (const TypeInfo& info : kTypes) {
    if (!CanEncode(info.type) || !CanDecode(info.type) || NeedsImportance(info.type)) continue;
    if (info.type == Type::kIQ1_M || info.type == Type::kIQ2_S || info.type == Type::kIQ3_XXS) {
      continue;  // their encoders are slow, and their rows are decoded like all others
    }
    for (const int64_t tokens : {1, 12, 40}) CheckProduct(info.type, 97, 768, tokens);
  }
}

}  // namespace
}  // namespace quern
