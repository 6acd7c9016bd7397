#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "gguf/tensor_source.h"

// Files made from bytes, and what became of reading them.
namespace quern::testing {

// `number` in sizeof(T) bytes, the lowest first.
template <typename T>
std::string Little(T number) {
  std::string bytes(sizeof(T), '\0');
  std::memcpy(bytes.data(), &number, sizeof(T));
  return bytes;
}

inline std::string Safetensors(std::string_view header, std::string_view data) {
  return Little<uint64_t>(header.size()).append(header).append(data);
}

// Tensors in memory.
class MemorySource : public TensorSource {
 public:
  MemorySource(std::vector<TensorInfo> tensors, std::vector<std::vector<std::byte>> data)
      : TensorSource("memory", std::move(tensors)), data_(std::move(data)) {}

  void ReadRows(size_t index, int64_t first, int64_t count,
                std::span<std::byte> out) const override {
    const int64_t row_bytes = tensors()[index].row_bytes();
    std::memcpy(out.data(), data_.at(index).data() + first * row_bytes,
                static_cast<size_t>(count * row_bytes));
  }

 private:
  std::vector<std::vector<std::byte>> data_;
};

inline std::vector<float> Floats(std::span<const std::byte> bytes) {
  std::vector<float> floats(bytes.size() / sizeof(float));
  std::memcpy(floats.data(), bytes.data(), bytes.size());
  return floats;
}

// "kind: message" of the Error that `action` throws: "3: model.safetensors: ..."; empty if none.
template <typename Action>
std::string RefusalOf(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return fmt::format("{}: {}", static_cast<int>(error.kind()), error.what());
  }
  return "";
}

}  // namespace quern::testing
