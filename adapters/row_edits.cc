#include "adapters/row_edits.h"

#include <algorithm>

namespace quern {

void ReplaceMatrix::Apply(int64_t first, int64_t count, std::span<float> rows) const {
  const auto cols = rows.size() / static_cast<size_t>(count);
  const int64_t there = std::min(count, adapter_->tensor(tensor_).rows() - first);
  if (there <= 0) return;
  if (place_.head_rows == 0) {
    adapter_->ReadRows(tensor_, first, there, rows.first(static_cast<size_t>(there) * cols));
    return;
  }
  for (int64_t row = 0; row < there; ++row) {
    adapter_->ReadRows(tensor_, place_.HfRow(first + row), 1,
                       rows.subspan(static_cast<size_t>(row) * cols, cols));
  }
}

void ReplaceRows::Apply(int64_t first, int64_t count, std::span<float> rows) const {
  const auto cols = rows.size() / static_cast<size_t>(count);
  auto next = std::lower_bound(indices_.begin(), indices_.end(), first);
  for (; next != indices_.end() && *next < first + count; ++next) {
    const auto from = static_cast<size_t>(next - indices_.begin()) * cols;
    const auto to = static_cast<size_t>(*next - first) * cols;
    std::copy_n(values_.begin() + static_cast<int64_t>(from), cols,
                rows.begin() + static_cast<int64_t>(to));
  }
}

}  // namespace quern
