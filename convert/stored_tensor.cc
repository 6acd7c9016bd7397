#include "convert/stored_tensor.h"

#include "base/cursor.h"
#include "base/error.h"

namespace quern {
namespace {

constexpr Dtype kDtypes[] = {
#define QUERN_DTYPE_ENTRY(name, storage, type) {name, storage, Type::k##type},
    QUERN_DTYPES(QUERN_DTYPE_ENTRY)
#undef QUERN_DTYPE_ENTRY
};

std::optional<Dtype> Find(std::string_view text, std::string_view Dtype::*field) {
  for (const Dtype& dtype : kDtypes) {
    if (dtype.*field == text) return dtype;
  }
  return std::nullopt;
}

}  // namespace

std::optional<Dtype> DtypeFromName(std::string_view name) { return Find(name, &Dtype::name); }
std::optional<Dtype> DtypeFromStorage(std::string_view storage) {
  return Find(storage, &Dtype::storage);
}

std::optional<std::string_view> DtypeNameOf(Type type) {
  for (const Dtype& dtype : kDtypes) {
    if (dtype.type == type) return dtype.name;
  }
  return std::nullopt;
}

TensorInfo MakeTensorInfo(const std::string& file, std::string_view name, const Dtype& dtype,
                          std::span<const int64_t> torch_shape) {
  if (name.empty()) Fail(ErrorKind::kBadInput, "{}: a tensor has no name", file);
  TensorInfo info{std::string(name), dtype.type, {torch_shape.rbegin(), torch_shape.rend()}};
  // Eight bytes per element at most: then no later sum or product of sizes overflows.
  uint64_t bytes = 8;
  for (const int64_t size : info.shape) {
    if (size <= 0) {
      Fail(ErrorKind::kBadInput, "{}: tensor '{}' has a dimension of {}", file, name, size);
    }
    bytes = CheckedMul(bytes, static_cast<uint64_t>(size), file, "a tensor's size");
    if (bytes > uint64_t{1} << 62) {
      Fail(ErrorKind::kBadInput, "{}: tensor '{}' has too many elements", file, name);
    }
  }
  return info;
}

}  // namespace quern
