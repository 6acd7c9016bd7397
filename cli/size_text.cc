#include "cli/size_text.h"

#include <charconv>

namespace quern::cli {

std::optional<int64_t> ParseSize(std::string_view text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number < 0) return std::nullopt;
  const std::string_view unit(end, static_cast<size_t>(text.data() + text.size() - end));
  if (unit.empty()) return number;
  constexpr std::string_view kUnits = "KMGT";
  const char letter = unit[0] >= 'a' ? static_cast<char>(unit[0] - 'a' + 'A') : unit[0];
  const size_t power = kUnits.find(letter);
  if (power == std::string_view::npos || unit.size() > 1) return std::nullopt;
  for (size_t i = 0; i <= power; ++i) {
    if (__builtin_mul_overflow(number, 1000, &number)) return std::nullopt;
  }
  return number;
}

}  // namespace quern::cli
