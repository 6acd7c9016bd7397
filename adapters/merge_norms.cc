#include "adapters/merge_norms.h"

#include <cmath>
#include <map>

#include "adapters/float_rows.h"
#include "adapters/low_rank_delta.h"
#include "base/error.h"
#include "base/parallel.h"

namespace quern {
namespace {

// What is left of deltas that cancel each other is the rounding of double sums; squared norms.
constexpr double kCancelled = 1e-13;

// The squared norm of the sum of a tensor's deltas, and of each alone into the report.
double MeasureLowRank(const MergedTensor& tensor, const std::vector<const LowRankDelta*>& deltas,
                      MergeReport& report) {
  double total = 0, apart = 0;
  for (size_t i = 0; i < deltas.size(); ++i) {
    const Factors factors = deltas[i]->Load();
    const double scale = deltas[i]->scale();
    const double square = std::max(InnerProduct(factors, factors), 0.0) * scale * scale;
    report.deltas[tensor.steps[i].report].norm = std::sqrt(square);
    total += square;
    apart += square;
    for (size_t j = 0; j < i; ++j) {
      total += 2 * scale * deltas[j]->scale() * InnerProduct(factors, deltas[j]->Load());
    }
  }
  return total > kCancelled * apart ? total : 0;
}

double SquaredDistance(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double difference = static_cast<double>(a[i]) - b[i];
    sum += difference * difference;
  }
  return sum;
}

// The same for any steps, by doing them.
double MeasureByReading(const TensorSource& base, const MergedTensor& tensor, MergeReport& report) {
  const int64_t rows = tensor.info.rows(), cols = tensor.info.cols();
  const int64_t step_rows = RowsAtATime(cols);
  std::vector<double> squares(tensor.steps.size());
  double total = 0;
  for (int64_t first = 0; first < rows; first += step_rows) {
    const int64_t count = std::min(step_rows, rows - first);
    std::vector<float> origin(static_cast<size_t>(count * cols));
    ReadOrigin(base, tensor, first, count, origin);
    std::vector<float> now = origin;
    for (size_t s = 0; s < tensor.steps.size(); ++s) {
      const std::vector<float> before = now;
      tensor.steps[s].edit->Apply(first, count, now);
      squares[s] += SquaredDistance(before, now);
    }
    total += SquaredDistance(origin, now);
  }
  for (size_t s = 0; s < squares.size(); ++s) {
    report.deltas[tensor.steps[s].report].norm = std::sqrt(squares[s]);
  }
  return total;
}

void RefuseZeroAdapters(const MergeReport& report) {
  std::map<std::string, double> norms;
  for (const MergeDelta& delta : report.deltas) norms[delta.adapter] += delta.norm;
  for (const auto& [adapter, norm] : norms) {
    if (norm == 0) {
      Fail(ErrorKind::kBadInput,
           "{}: all of its deltas are zero, the merge would change nothing: was it trained?",
           adapter);
    }
  }
}

}  // namespace

void MeasureMerge(const TensorSource& base, MergePlan& plan) {
  std::vector<double> squares(plan.tensors.size());
  ParallelFor(static_cast<int64_t>(squares.size()), 1, [&](int64_t begin, int64_t end) {
    for (auto t = static_cast<size_t>(begin); t < static_cast<size_t>(end); ++t) {
      const MergedTensor& tensor = plan.tensors[t];
      if (tensor.steps.empty()) continue;
      const auto deltas = LowRankSteps(tensor);
      squares[t] = deltas.empty() ? MeasureByReading(base, tensor, plan.report)
                                  : MeasureLowRank(tensor, deltas, plan.report);
    }
  });
  RefuseZeroAdapters(plan.report);
  double total = 0;
  for (const double square : squares) total += square;
  if (total == 0) {
    Fail(ErrorKind::kBadInput, "the adapters cancel each other, the merge would change nothing");
  }
  plan.report.total_norm = std::sqrt(total);
}

}  // namespace quern
