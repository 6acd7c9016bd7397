#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "model/chat/value.h"

// What `"%..." % values` and str.format share: how one value is shown.
namespace quern::jinja {

// str.format writes it [[fill]align][sign][#][0][width][,][.precision][type].
struct FormatSpec {
  std::string fill = " ";
  char align = '\0', sign = '-', grouping = '\0', type = '\0';
  bool alternate = false;
  size_t width = 0;
  std::optional<int> precision;
};

// Take what stands at the beginning of `text`: this character if it is there, or a number, 0 where
// there is none. A width or precision that would be a use of memory is refused.
bool Takes(std::string_view& text, char c);
size_t TakeWidth(std::string_view& text);
int TakePrecision(std::string_view& text);

std::string FormatInt(Int value, const FormatSpec& spec);
std::string FormatFloat(double value, const FormatSpec& spec);
std::string FormatText(std::string_view text, const FormatSpec& spec);

}  // namespace quern::jinja
