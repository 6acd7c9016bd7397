#include "gguf/magic.h"

#include <array>
#include <cstring>
#include <string_view>

#include "base/file.h"

namespace quern {

bool IsGguf(const std::filesystem::path& path) {
  constexpr std::string_view kMagic = "GGUF";
  const InputFile file(path);
  std::array<std::byte, kMagic.size()> begin;
  if (file.size() < begin.size()) return false;
  file.ReadAt(0, begin);
  return std::memcmp(begin.data(), kMagic.data(), begin.size()) == 0;
}

}  // namespace quern
