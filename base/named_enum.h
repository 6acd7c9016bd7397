#pragma once

#include <algorithm>
#include <optional>
#include <span>
#include <string_view>

namespace quern {

// The value of an enum that counts from 0, by its place among the names of all.
template <typename Enum>
std::optional<Enum> NamedEnum(std::span<const std::string_view> names, std::string_view name) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) return std::nullopt;
  return static_cast<Enum>(found - names.begin());
}

}  // namespace quern
