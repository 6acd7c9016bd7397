#include "adapters/run_time.h"

#include "adapters/low_rank_delta.h"
#include "model/arch/renamed_source.h"

namespace quern {
namespace {

LowRankTerm TermOf(const std::string& weight, const LowRankDelta& delta) {
  Factors factors = delta.Load();
  LowRankTerm term{.weight = weight,
                   .rows = factors.rows,
                   .rank = factors.rank,
                   .cols = factors.cols,
                   .up = std::vector<float>(factors.left.size()),
                   .down = std::move(factors.right)};
  const auto scale = static_cast<float>(delta.scale());
  for (int64_t row = 0; row < term.rows; ++row) {
    for (int64_t k = 0; k < term.rank; ++k) {
      term.up[static_cast<size_t>(k * term.rows + row)] =
          scale * factors.left[static_cast<size_t>(row * term.rank + k)];
    }
  }
  return term;
}

bool IsReplaced(const MergedTensor& tensor) {
  return !tensor.steps.empty() && LowRankSteps(tensor).empty();
}

}  // namespace

Adaptation AdaptAtRunTime(const std::shared_ptr<const MergedSource>& merged) {
  const MergePlan& plan = merged->plan();
  bool own_output = false;
  for (const MergedTensor& tensor : plan.tensors) {
    // An output that was tied to embeddings which are replaced keeps the base's.
    if (tensor.place.hf_name == kEmbeddingsHfName) {
      own_output = plan.report.untied && IsReplaced(tensor);
    }
  }
  Adaptation adaptation;
  std::vector<RenamedSource::Entry> replaced;
  for (size_t t = 0; t < plan.tensors.size(); ++t) {
    const MergedTensor& tensor = plan.tensors[t];
    if (IsReplaced(tensor) || (own_output && tensor.place.hf_name == kOutputHfName)) {
      replaced.push_back({.index = t, .name = tensor.info.name});
      continue;
    }
    for (const LowRankDelta* delta : LowRankSteps(tensor)) {
      adaptation.terms.push_back(TermOf(tensor.info.name, *delta));
    }
  }
  if (!replaced.empty()) {
    adaptation.tensors =
        std::make_shared<RenamedSource>(merged, std::move(replaced), RowDirection::kToGguf);
  }
  return adaptation;
}

}  // namespace quern
