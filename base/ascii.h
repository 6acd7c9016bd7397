#pragma once

#include <algorithm>
#include <string>
#include <string_view>

// Letters A to Z and a to z, whatever the locale; all other bytes are as they are.
namespace quern {

constexpr char Lowered(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

inline std::string Lowered(std::string_view text) {
  std::string lowered(text);
  for (char& c : lowered) c = Lowered(c);
  return lowered;
}

constexpr bool SameInAnyCase(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return Lowered(x) == Lowered(y); });
}

}  // namespace quern
