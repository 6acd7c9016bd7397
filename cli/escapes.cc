#include "cli/escapes.h"

#include <charconv>

namespace quern::cli {

std::string Unescaped(std::string_view text) {
  constexpr std::string_view kNames = "nrt'\"\\", kValues = "\n\r\t'\"\\";
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const char next = text[i] == '\\' && i + 1 < text.size() ? text[i + 1] : '\0';
    if (const size_t known = kNames.find(next); next != '\0' && known != kNames.npos) {
      out += kValues[known];
      ++i;
      continue;
    }
    if (next == 'x' && i + 3 < text.size()) {
      unsigned value = 0;
      const char* const end = text.data() + i + 4;
      const auto [stop, error] = std::from_chars(text.data() + i + 2, end, value, 16);
      if (error == std::errc() && stop == end) {
        out += static_cast<char>(value);
        i += 3;
        continue;
      }
    }
    out += text[i];
  }
  return out;
}

}  // namespace quern::cli
