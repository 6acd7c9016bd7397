#include "quant/selected_source.h"

namespace quern {
namespace {

std::vector<TensorInfo> Infos(const TensorSource& base,
                              const std::vector<SelectedSource::Pick>& picks) {
  std::vector<TensorInfo> tensors;
  for (const auto& pick : picks) {
    tensors.push_back(base.tensors()[pick.index]);
    tensors.back().name = pick.name;
  }
  return tensors;
}

}  // namespace

SelectedSource::SelectedSource(std::shared_ptr<const TensorSource> base,
                               const std::vector<Pick>& picks)
    : TensorSource(base->name(), Infos(*base, picks)), base_(std::move(base)) {
  for (const Pick& pick : picks) index_in_base_.push_back(pick.index);
}

void SelectedSource::ReadRows(size_t index, int64_t first, int64_t count,
                              std::span<std::byte> out) const {
  base_->ReadRows(index_in_base_[index], first, count, out);
}

}  // namespace quern
