#include "model/low_rank_term.h"

#include "base/parallel.h"
#include "kernels/ops/low_rank.h"
#include "kernels/ops/matmul.h"

namespace quern {

void LowRankTerm::AddProduct(const float* x, int64_t tokens, float* y) const {
  constexpr int64_t kTokensPerPiece = 16;
  std::vector<float> inner(static_cast<size_t>(tokens * rank));
  const Matrix narrow{Type::kF32, reinterpret_cast<const std::byte*>(down.data()), rank, cols};
  MatMul(narrow, x, tokens, inner.data());
  ParallelFor(tokens, kTokensPerPiece, [&](int64_t begin, int64_t end) {
    AddLowRank(inner.data() + begin * rank, up.data(), end - begin, rank, rows, 1.0f,
               y + begin * rows);
  });
}

void LowRankTerm::AddRow(int64_t row, float* y) const {
  std::vector<float> factors(static_cast<size_t>(rank));
  for (int64_t k = 0; k < rank; ++k) {
    factors[static_cast<size_t>(k)] = up[static_cast<size_t>(k * rows + row)];
  }
  AddLowRank(factors.data(), down.data(), 1, rank, cols, 1.0f, y);
}

}  // namespace quern
