#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "gguf/tensor_source.h"

namespace quern {

// The element types of checkpoints: X(safetensors' name, torch's storage class, our type). U8 and
// BOOL have no type in GGUF: their bytes stand as i8, and the dtype says what they are.
#define QUERN_DTYPES(X)              \
  X("F64", "DoubleStorage", F64)     \
  X("F32", "FloatStorage", F32)      \
  X("F16", "HalfStorage", F16)       \
  X("BF16", "BFloat16Storage", BF16) \
  X("I64", "LongStorage", I64)       \
  X("I32", "IntStorage", I32)        \
  X("I16", "ShortStorage", I16)      \
  X("I8", "CharStorage", I8)         \
  X("U8", "ByteStorage", I8)         \
  X("BOOL", "BoolStorage", I8)

struct Dtype {
  std::string_view name;     // "BF16"
  std::string_view storage;  // "BFloat16Storage"
  Type type;
};
std::optional<Dtype> DtypeFromName(std::string_view name);
std::optional<Dtype> DtypeFromStorage(std::string_view storage);
// The name by which safetensors knows `type`, if it does.
std::optional<std::string_view> DtypeNameOf(Type type);

// A tensor in a checkpoint's file; its elements lie row by row, little-endian, from `offset`.
struct StoredTensor {
  TensorInfo info;
  std::string_view dtype;  // a Dtype's name
  uint64_t offset = 0;
};

// The tensor of this dtype and shape (as torch has it, slowest first) in the file `file`. Errors
// are kBadInput: no name, an empty or negative dimension, more bytes than 2^62.
TensorInfo MakeTensorInfo(const std::string& file, std::string_view name, const Dtype& dtype,
                          std::span<const int64_t> torch_shape);

}  // namespace quern
