#include "gguf/tensor_source.h"

#include <fmt/ranges.h>

#include "base/error.h"

namespace quern {

int64_t TensorInfo::rows() const {
  int64_t rows = 1;
  for (size_t i = 1; i < shape.size(); ++i) rows *= shape[i];
  return rows;
}

std::string ShapeText(std::span<const int64_t> shape) {
  return shape.empty() ? "scalar" : fmt::format("{}", fmt::join(shape, " x "));
}

TensorSource::TensorSource(std::string name, std::vector<TensorInfo> tensors)
    : name_(std::move(name)), tensors_(std::move(tensors)) {
  for (size_t i = 0; i < tensors_.size(); ++i) {
    const bool added = index_.try_emplace(tensors_[i].name, i).second;
    QUERN_CHECK(added);
  }
}

std::optional<size_t> TensorSource::Find(std::string_view name) const {
  const auto found = index_.find(std::string(name));
  if (found == index_.end()) return std::nullopt;
  return found->second;
}

std::vector<std::byte> TensorSource::ReadAll(size_t index) const {
  std::vector<std::byte> bytes(static_cast<size_t>(tensors_[index].bytes()));
  ReadRows(index, 0, tensors_[index].rows(), bytes);
  return bytes;
}

}  // namespace quern
