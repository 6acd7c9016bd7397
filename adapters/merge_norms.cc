#include "adapters/merge_norms.h"

#include <cmath>
#include <map>

#include "base/error.h"
#include "base/parallel.h"

namespace quern {
namespace {

// What is left of deltas that cancel each other is the rounding of double sums; squared norms.
constexpr double kCancelled = 1e-13;

// The squared norm of the sum of the deltas of one tensor, and of each alone into the report.
double MeasureTensor(const std::vector<const PlannedDelta*>& deltas, MergeReport& report) {
  double total = 0, apart = 0;
  for (size_t i = 0; i < deltas.size(); ++i) {
    const Factors factors = deltas[i]->delta->Load();
    const double scale = deltas[i]->delta->scale();
    const double square = std::max(InnerProduct(factors, factors), 0.0) * scale * scale;
    report.deltas[deltas[i]->report].norm = std::sqrt(square);
    total += square;
    apart += square;
    for (size_t j = 0; j < i; ++j) {
      total +=
          2 * scale * deltas[j]->delta->scale() * InnerProduct(factors, deltas[j]->delta->Load());
    }
  }
  return total > kCancelled * apart ? total : 0;
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

void MeasureDeltas(std::span<const PlannedDelta> deltas, MergeReport& report) {
  std::map<size_t, std::vector<const PlannedDelta*>> by_tensor;
  for (const PlannedDelta& delta : deltas) by_tensor[delta.tensor].push_back(&delta);
  std::vector<const std::vector<const PlannedDelta*>*> work;
  for (const auto& [tensor, list] : by_tensor) work.push_back(&list);
  std::vector<double> squares(work.size());
  ParallelFor(static_cast<int64_t>(work.size()), 1, [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
      squares[i] = MeasureTensor(*work[i], report);
    }
  });
  RefuseZeroAdapters(report);
  double total = 0;
  for (const double square : squares) total += square;
  for (const MergeDelta& delta : report.deltas) {
    if (delta.rank == 0) total += delta.norm * delta.norm;
  }
  if (total == 0) {
    Fail(ErrorKind::kBadInput, "the adapters cancel each other, the merge would change nothing");
  }
  report.total_norm = std::sqrt(total);
}

}  // namespace quern
