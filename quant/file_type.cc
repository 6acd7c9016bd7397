#include "quant/file_type.h"

#include <algorithm>
#include <charconv>

#include "base/ascii.h"

namespace quern {
namespace {

struct Alias {
  std::string_view name;
  FileType file_type;
};

constexpr Alias kAliases[] = {
    {"Q3_K", FileType::kQ3_K_M}, {"Q4_K", FileType::kQ4_K_M}, {"Q5_K", FileType::kQ5_K_M}};

}  // namespace

std::optional<FileType> FileTypeFromName(std::string_view name) {
  for (const Alias& alias : kAliases) {
    if (SameInAnyCase(alias.name, name)) return alias.file_type;
  }
  uint32_t id = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), id);
  const bool is_number = error == std::errc() && end == name.data() + name.size();
  for (const FileTypeInfo& info : kFileTypes) {
    if (is_number ? info.id == id : SameInAnyCase(info.name, name)) return info.file_type;
  }
  return std::nullopt;
}

}  // namespace quern
