#include "gguf/split_name.h"

#include <fmt/format.h>

#include <charconv>

namespace quern {
namespace fs = std::filesystem;

std::string SplitSuffix(int64_t number, int64_t count) {
  return fmt::format("-{:05}-of-{:05}.gguf", number + 1, count);
}

fs::path SplitPath(const fs::path& prefix, int64_t number, int64_t count) {
  return prefix.string() + SplitSuffix(number, count);
}

std::optional<SplitName> ParseSplitName(const fs::path& path) {
  const std::string text = path.string();
  const size_t suffix = SplitSuffix(0, 1).size();
  if (text.size() <= suffix) return std::nullopt;
  const std::string tail = text.substr(text.size() - suffix);
  int64_t number = 0, count = 0;
  std::from_chars(tail.data() + 1, tail.data() + 6, number);
  std::from_chars(tail.data() + 10, tail.data() + 15, count);
  // What prints back to the same text was of this form.
  if (number < 1 || number > count || SplitSuffix(number - 1, count) != tail) return std::nullopt;
  return SplitName{text.substr(0, text.size() - suffix), number - 1, count};
}

}  // namespace quern
