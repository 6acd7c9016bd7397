#include "gguf/types.h"

#include "base/ascii.h"
#include "base/error.h"

namespace quern {
std::optional<Type> TypeFromId(uint32_t id) {
  for (const TypeInfo& info : kTypes) {
    if (static_cast<uint32_t>(info.type) == id) return info.type;
  }
  return std::nullopt;
}

std::optional<Type> TypeFromName(std::string_view name) {
  for (const TypeInfo& info : kTypes) {
    if (SameInAnyCase(info.name, name)) return info.type;
  }
  return std::nullopt;
}

const TypeInfo& InfoOf(Type type) {
  for (const TypeInfo& info : kTypes) {
    if (info.type == type) return info;
  }
  QUERN_CHECK(!"a type of the list");
  __builtin_unreachable();
}

bool IsFloat(Type type) {
  return type == Type::kF32 || type == Type::kF16 || type == Type::kBF16 || type == Type::kF64;
}

int64_t RowBytes(Type type, int64_t cols) {
  const TypeInfo& info = InfoOf(type);
  QUERN_CHECK(cols >= 0 && cols % info.elems == 0);
  return cols / info.elems * info.bytes;
}

}  // namespace quern
