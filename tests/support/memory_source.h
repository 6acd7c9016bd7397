#pragma once

#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "gguf/tensor_source.h"

namespace quern::testing {

// A tensor of float32 values, its shape in GGUF's order.
struct MemoryTensor {
  std::string name;
  std::vector<int64_t> shape;
  std::vector<float> values;
};

// Tensors in memory, as a source.
class MemorySource : public TensorSource {
 public:
  MemorySource(std::string name, std::vector<MemoryTensor> tensors)
      : TensorSource(std::move(name), InfosOf(tensors)), values_(std::move(tensors)) {}

  void ReadRows(size_t index, int64_t first, int64_t count,
                std::span<std::byte> out) const override {
    const auto bytes = std::as_bytes(std::span(values_[index].values));
    const auto row = static_cast<size_t>(tensors()[index].row_bytes());
    const auto part = bytes.subspan(static_cast<size_t>(first) * row, out.size());
    if (out.size() != static_cast<size_t>(count) * row) throw std::logic_error("wrong size");
    if (!part.empty()) std::memcpy(out.data(), part.data(), part.size());
  }

 private:
  static std::vector<TensorInfo> InfosOf(const std::vector<MemoryTensor>& tensors) {
    std::vector<TensorInfo> infos;
    for (const MemoryTensor& tensor : tensors) {
      infos.push_back({.name = tensor.name, .type = Type::kF32, .shape = tensor.shape});
    }
    return infos;
  }
  std::vector<MemoryTensor> values_;
};

}  // namespace quern::testing
