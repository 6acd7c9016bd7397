#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "adapters/merge_plan.h"

namespace quern {

// The distance of neighbours in the float type `type` at this magnitude.
double StepOf(Type type, double value);

// Rows of one tensor in double, for each weight the sum of the magnitudes that it was added from,
// and what PEFT's own roundings on the way may put it off by.
struct ExactRows {
  std::vector<double> values, magnitudes, slack;
};

// What one adapter does to one tensor, by PEFT's formulas and in double: the opposite number of the
// edits that a merge is planned with, and made without them. A vector (a bias, a norm) is a matrix
// of one row, as everywhere, in the checkpoint's order.
class Contribution {
 public:
  // module: the adapter's, of which the weight (or the bias) is meant; base: that tensor in it.
  // Reads the factors. Adapter and module must live as long.
  Contribution(const WeightedAdapter& weighted, const AdapterModule& module, bool of_bias,
               const TensorInfo& base);

  bool changes() const { return whole_ || !tokens_.empty() || !left_.empty() || !added_.empty(); }
  // rows: hf_rows[i] of the checkpoint is the one in place i; all have `cols` columns.
  void Apply(std::span<const int64_t> hf_rows, int64_t cols, Type precision, ExactRows& rows) const;

  // DoRA of an embedding has one norm for each column of the whole: the second step, when all rows
  // have given their squares.
  bool has_column_norms() const { return of_embedding_ && !magnitude_.empty(); }
  void ApplyColumns(const std::vector<double>& squares, ExactRows& rows) const;

 private:
  double ScaleOf(int64_t rank) const;
  void LoadReplacements(const TensorInfo& base);
  void LoadPair();
  void Replace(int64_t row, int64_t cols, size_t at, ExactRows& rows) const;
  void AddProduct(int64_t row, int64_t cols, size_t at, Type precision, ExactRows& rows) const;

  const LoraAdapter& adapter_;
  const AdapterModule& module_;
  bool of_bias_, of_embedding_ = false, transposed_ = false;
  bool rounds_ = false;  // PEFT rounds the delta before it adds it
  double weight_, scale_ = 0;
  int64_t rank_ = 0;
  std::optional<size_t> whole_;  // the adapter's tensor that replaces the base's
  std::vector<int64_t> tokens_;
  // left[out, rank] and right[rank, in] of the delta, or their transposes.
  std::vector<float> token_rows_, left_, right_, magnitude_, added_;
};

}  // namespace quern
