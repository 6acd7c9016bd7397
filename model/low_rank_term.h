#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace quern {

// What an adapter adds to a weight matrix W[rows, cols], as a product that is never multiplied out:
// transpose(up) down, every scale in `up`.
struct LowRankTerm {
  std::string weight;  // the tensor: "blk.0.attn_q.weight"
  int64_t rows = 0, rank = 0, cols = 0;
  std::vector<float> up;    // [rank, rows]
  std::vector<float> down;  // [rank, cols]

  // y[tokens, rows] += x[tokens, cols] transpose(down) up: what the term adds to W's product.
  void AddProduct(const float* x, int64_t tokens, float* y) const;
  // y[cols] += row `row` of the term: what it adds to a row that is looked up.
  void AddRow(int64_t row, float* y) const;
};

}  // namespace quern
