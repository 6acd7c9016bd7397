#include "adapters/merged_source.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "adapters/float_rows.h"
#include "base/error.h"
#include "kernels/codec.h"

namespace quern {
namespace {

// The least magnitude that is rounded to Inf.
float LimitOf(Type type) {
  if (type == Type::kF16) return 65520;
  if (type == Type::kBF16) return 0x1.ffp127f;
  return std::numeric_limits<float>::infinity();
}

std::vector<TensorInfo> InfosOf(const MergePlan& plan) {
  std::vector<TensorInfo> infos;
  for (const MergedTensor& tensor : plan.tensors) infos.push_back(tensor.info);
  return infos;
}

}  // namespace

MergedSource::MergedSource(std::shared_ptr<const TensorSource> base, const BaseNames& names,
                           std::span<const WeightedAdapter> adapters)
    : MergedSource(base, PlanMerge(*base, names, adapters)) {}

MergedSource::MergedSource(std::shared_ptr<const TensorSource> base, MergePlan plan)
    : TensorSource(base->name(), InfosOf(plan)), base_(std::move(base)), plan_(std::move(plan)) {}

void MergedSource::ReadRows(size_t index, int64_t first, int64_t count,
                            std::span<std::byte> out) const {
  const TensorInfo& tensor = tensors()[index];
  QUERN_CHECK(first >= 0 && count >= 0 && first + count <= tensor.rows());
  QUERN_CHECK(out.size() == static_cast<size_t>(count * tensor.row_bytes()));
  if (!Changes(index)) {
    base_->ReadRows(plan_.tensors[index].origin, first, count, out);
    return;
  }
  const int64_t step = RowsAtATime(tensor.cols());
  for (int64_t row = 0; row < count; row += step) {
    const int64_t piece = std::min(step, count - row);
    Merge(index, first + row, piece,
          out.subspan(static_cast<size_t>(row * tensor.row_bytes()),
                      static_cast<size_t>(piece * tensor.row_bytes())));
  }
}

void MergedSource::Merge(size_t index, int64_t first, int64_t count,
                         std::span<std::byte> out) const {
  const MergedTensor& planned = plan_.tensors[index];
  const TensorInfo& tensor = tensors()[index];
  const int64_t cols = tensor.cols();
  std::vector<float> rows(static_cast<size_t>(count * cols));
  ReadOrigin(*base_, planned, first, count, rows);
  for (const auto& step : planned.steps) step.edit->Apply(first, count, rows);
  const float limit = LimitOf(planned.place.precision);
  const auto bad = std::find_if(rows.begin(), rows.end(),
                                [&](float value) { return !(std::fabs(value) < limit); });
  if (bad != rows.end()) {
    Fail(ErrorKind::kNonFinite, "{}: tensor '{}' merged is {} at index {}, which {} cannot hold",
         name(), tensor.name, *bad, first * cols + (bad - rows.begin()),
         NameOf(planned.place.precision));
  }
  if (planned.place.precision == tensor.type) {
    EncodeRows(tensor.type, rows.data(), count, cols, {}, out.data());
    return;
  }
  std::vector<std::byte> raw(static_cast<size_t>(count * RowBytes(planned.place.precision, cols)));
  EncodeRows(planned.place.precision, rows.data(), count, cols, {}, raw.data());
  Decode(planned.place.precision, raw.data(), count * cols, rows.data());
  EncodeRows(tensor.type, rows.data(), count, cols, {}, out.data());
}

}  // namespace quern
