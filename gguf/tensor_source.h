#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "gguf/types.h"

namespace quern {

// A tensor's name, type and shape. The shape is in GGUF's order, fastest first: shape[0] is the
// length of a row (the columns), and all further dimensions together are the rows.
struct TensorInfo {
  std::string name;
  Type type = Type::kF32;
  std::vector<int64_t> shape;

  int64_t cols() const { return shape.empty() ? 1 : shape[0]; }
  int64_t rows() const;
  int64_t elements() const { return cols() * rows(); }
  int64_t row_bytes() const { return RowBytes(type, cols()); }
  int64_t bytes() const { return row_bytes() * rows(); }
};

// "4096 x 32000", for errors and tables.
std::string ShapeText(std::span<const int64_t> shape);

// A checkpoint as a list of tensors that can be streamed. Files are sources; merging, renaming,
// permuting and quantizing are sources wrapped round a source.
class TensorSource {
 public:
  virtual ~TensorSource() = default;
  TensorSource(const TensorSource&) = delete;
  TensorSource& operator=(const TensorSource&) = delete;

  // What it is read from, for errors.
  const std::string& name() const { return name_; }
  const std::vector<TensorInfo>& tensors() const { return tensors_; }
  std::optional<size_t> Find(std::string_view name) const;

  // Rows [first, first + count) of tensor `index` in its type, into out (count * row_bytes bytes).
  // Any thread may call it, in any order.
  virtual void ReadRows(size_t index, int64_t first, int64_t count,
                        std::span<std::byte> out) const = 0;
  // All rows of a small tensor.
  std::vector<std::byte> ReadAll(size_t index) const;

 protected:
  // Names must differ: who builds the list has checked its input.
  TensorSource(std::string name, std::vector<TensorInfo> tensors);

 private:
  std::string name_;
  std::vector<TensorInfo> tensors_;
  std::unordered_map<std::string, size_t> index_;
};

}  // namespace quern
