#include "adapters/merge_check.h"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "adapters/float_rows.h"
#include "adapters/merge_contribution.h"
#include "base/error.h"
#include "base/parallel.h"

namespace quern {
namespace {

// What sums in float32 may be off, as a part of the sum of all magnitudes.
constexpr double kFloatError = 0x1p-18;

class Checker {
 public:
  Checker(const TensorSource& base, const BaseNames& base_names,
          std::span<const WeightedAdapter> adapters, const TensorSource& merged,
          const BaseNames& merged_names)
      : base_(base),
        base_names_(base_names),
        adapters_(adapters),
        merged_(merged),
        merged_names_(merged_names) {
    for (size_t t = 0; t < base_names.size(); ++t) by_hf_name_[base_names[t].hf_name] = t;
    for (const WeightedAdapter& weighted : adapters) {
      auto& modules = modules_.emplace_back();
      for (const AdapterModule& module : weighted.adapter->modules()) {
        modules[module.name] = &module;
      }
    }
  }

  MergeCheck Check() {
    ParallelFor(static_cast<int64_t>(merged_.tensors().size()), 1, [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) CheckTensor(static_cast<size_t>(t));
    });
    return found_;
  }

 private:
  // The base's tensor that a merged one began as; an output that has none began as the embeddings.
  std::optional<size_t> OriginOf(const std::string& hf_name, const std::string& name) const {
    if (hf_name.empty()) return base_.Find(name);
    auto found = by_hf_name_.find(hf_name);
    if (found == by_hf_name_.end() && hf_name == kOutputHfName) {
      found = by_hf_name_.find(kEmbeddingsHfName);
    }
    if (found == by_hf_name_.end()) return std::nullopt;
    return found->second;
  }

  std::vector<Contribution> ContributionsTo(const std::string& hf_name, size_t origin) const {
    std::vector<Contribution> all;
    const bool of_bias = hf_name.ends_with(".bias");
    const std::string module = hf_name.substr(0, hf_name.rfind('.'));
    for (size_t a = 0; a < adapters_.size(); ++a) {
      const auto found = modules_[a].find(module);
      if (found == modules_[a].end()) continue;
      all.emplace_back(adapters_[a], *found->second, of_bias, base_.tensors()[origin]);
    }
    return all;
  }

  void CheckTensor(size_t t) {
    const TensorInfo& tensor = merged_.tensors()[t];
    if (!IsFloat(tensor.type)) {
      const std::lock_guard lock(mutex_);
      ++found_.quantized;
      return;
    }
    const BaseTensor& place = merged_names_[t];
    const auto origin = OriginOf(place.hf_name, tensor.name);
    // A buffer that the family's config makes, such as rope factors.
    if (!origin && place.hf_name.empty()) return;
    if (!origin || base_.tensors()[*origin].cols() != tensor.cols()) {
      Fail(ErrorKind::kOutput, "{}: tensor '{}' ({}) is none that the base has", merged_.name(),
           tensor.name, ShapeText(tensor.shape));
    }
    const auto contributions = ContributionsTo(place.hf_name, *origin);
    const std::vector<int64_t> base_row = BaseRows(*origin);
    std::vector<double> squares;
    double worst = 0;
    const int64_t step = RowsAtATime(tensor.cols());
    const bool two_passes = std::any_of(contributions.begin(), contributions.end(),
                                        [](const auto& c) { return c.has_column_norms(); });
    for (int pass = two_passes ? 0 : 1; pass < 2; ++pass) {
      if (pass == 0) squares.resize(static_cast<size_t>(tensor.cols()));
      for (int64_t first = 0; first < tensor.rows(); first += step) {
        const int64_t count = std::min(step, tensor.rows() - first);
        ExactRows rows = ExpectedRows(t, *origin, base_row, contributions, first, count);
        if (pass == 0) {
          for (size_t i = 0; i < rows.values.size(); ++i) {
            squares[i % squares.size()] += rows.values[i] * rows.values[i];
          }
          continue;
        }
        for (const Contribution& contribution : contributions) {
          if (contribution.has_column_norms()) contribution.ApplyColumns(squares, rows);
        }
        worst = std::max(worst, Compare(t, *origin, first, count, rows));
      }
    }
    const std::lock_guard lock(mutex_);
    ++found_.tensors;
    found_.changed += std::any_of(contributions.begin(), contributions.end(),
                                  [](const auto& c) { return c.changes(); });
    if (worst > found_.max_steps) {
      found_.max_steps = worst;
      found_.worst = place.hf_name.empty() ? tensor.name : place.hf_name;
    }
  }

  // The base's row that has the checkpoint's row h, where they stand in another order.
  std::vector<int64_t> BaseRows(size_t origin) const {
    const BaseTensor& place = base_names_[origin];
    if (place.head_rows == 0) return {};
    std::vector<int64_t> rows(static_cast<size_t>(LengthOf(base_.tensors()[origin])));
    for (size_t row = 0; row < rows.size(); ++row) {
      rows[static_cast<size_t>(place.HfRow(static_cast<int64_t>(row)))] = static_cast<int64_t>(row);
    }
    return rows;
  }
  // Of a vector the elements are ordered as the rows of its matrix are.
  static int64_t LengthOf(const TensorInfo& tensor) {
    return tensor.shape.size() == 1 ? tensor.cols() : tensor.rows();
  }

  ExactRows ExpectedRows(size_t t, size_t origin, const std::vector<int64_t>& base_row,
                         const std::vector<Contribution>& contributions, int64_t first,
                         int64_t count) const {
    const TensorInfo& tensor = merged_.tensors()[t];
    const TensorInfo& from = base_.tensors()[origin];
    const int64_t cols = tensor.cols();
    ExactRows rows;
    rows.values.resize(static_cast<size_t>(count * cols));
    std::vector<int64_t> hf_rows;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t row = first + i;
      const int64_t hf = tensor.shape.size() == 1 ? row : merged_names_[t].HfRow(row);
      hf_rows.push_back(hf);
      if (hf >= from.rows()) continue;
      const bool reordered = !base_row.empty() && tensor.shape.size() > 1;
      const auto values =
          ReadFloats(base_, origin, reordered ? base_row[static_cast<size_t>(hf)] : hf, 1);
      for (int64_t j = 0; j < cols; ++j) {
        // Everything of a vector is in the checkpoint's order until it is compared.
        const int64_t there =
            tensor.shape.size() == 1 && !base_row.empty() ? base_row[static_cast<size_t>(j)] : j;
        rows.values[static_cast<size_t>(i * cols + j)] = values[static_cast<size_t>(there)];
      }
    }
    rows.slack.resize(rows.values.size());
    for (const double value : rows.values) rows.magnitudes.push_back(std::fabs(value));
    for (const Contribution& contribution : contributions) {
      contribution.Apply(hf_rows, cols, base_names_[origin].precision, rows);
    }
    return rows;
  }

  // The largest error in steps.
  double Compare(size_t t, size_t origin, int64_t first, int64_t count,
                 const ExactRows& rows) const {
    const TensorInfo& tensor = merged_.tensors()[t];
    const Type precision = base_names_[origin].precision;
    const auto got = ReadFloats(merged_, t, first, count);
    double worst = 0;
    for (size_t i = 0; i < got.size(); ++i) {
      const bool vector = tensor.shape.size() == 1;
      const size_t at =
          vector ? static_cast<size_t>(merged_names_[t].HfRow(static_cast<int64_t>(i))) : i;
      const double wanted = rows.values[at];
      const double error = std::fabs(got[i] - wanted);
      double step = StepOf(tensor.type, wanted);
      double allowed = step / 2 + rows.slack[at] + kFloatError * rows.magnitudes[at];
      if (precision != tensor.type && IsFloat(precision)) {
        const double earlier = StepOf(precision, wanted);
        allowed += earlier / 2;
        step = std::max(step, earlier);
      }
      if (!(error <= allowed)) {
        const auto cols = static_cast<size_t>(tensor.cols());
        Fail(ErrorKind::kOutput,
             "{}: tensor '{}' is {} in row {}, column {}; W + B A computed anew is {}",
             merged_.name(), tensor.name, got[i], first + static_cast<int64_t>(i / cols), i % cols,
             wanted);
      }
      worst = std::max(worst, error / std::max(step, StepOf(tensor.type, rows.magnitudes[at])));
    }
    return worst;
  }

  const TensorSource& base_;
  const BaseNames& base_names_;
  std::span<const WeightedAdapter> adapters_;
  const TensorSource& merged_;
  const BaseNames& merged_names_;
  std::unordered_map<std::string, size_t> by_hf_name_;
  std::vector<std::unordered_map<std::string, const AdapterModule*>> modules_;
  std::mutex mutex_;
  MergeCheck found_;
};

}  // namespace

MergeCheck CheckMerge(const TensorSource& base, const BaseNames& base_names,
                      std::span<const WeightedAdapter> adapters, const TensorSource& merged,
                      const BaseNames& merged_names) {
  return Checker(base, base_names, adapters, merged, merged_names).Check();
}

}  // namespace quern
