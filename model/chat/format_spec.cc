#include "model/chat/format_spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "model/chat/heap.h"
#include "model/chat/numbers.h"
#include "model/chat/unicode_text.h"

namespace quern::jinja {
namespace {

constexpr size_t kMaxWidth = 100000;
constexpr int kMaxPrecision = 1000;

// `digits` of a number, padded behind its sign or around it.
std::string Padded(std::string sign, std::string body, const FormatSpec& spec, char default_align) {
  const char align = spec.align == '\0' ? default_align : spec.align;
  const size_t length = CountCodes(sign) + CountCodes(body);
  const size_t lacks = spec.width > length ? spec.width - length : 0;
  const size_t left = align == '<' ? 0 : align == '^' ? lacks / 2 : lacks;
  std::string before, after;
  for (size_t i = 0; i < left; ++i) before += spec.fill;
  for (size_t i = left; i < lacks; ++i) after += spec.fill;
  return align == '=' ? sign + before + body : before + sign + body + after;
}

std::string Grouped(std::string digits, char separator) {
  if (separator == '\0') return digits;
  const size_t whole = std::min(digits.find_first_of(".e"), digits.size());
  for (size_t at = whole; at > 3; at -= 3) digits.insert(at - 3, 1, separator);
  return digits;
}

std::string SignOf(bool negative, const FormatSpec& spec) {
  return negative ? "-" : spec.sign == '-' ? "" : std::string(1, spec.sign);
}

}  // namespace

size_t TakeWidth(std::string_view& text) {
  size_t value = 0;
  while (!text.empty() && text[0] >= '0' && text[0] <= '9') {
    value = std::min(value * 10 + static_cast<size_t>(text[0] - '0'), size_t{1} << 30);
    text.remove_prefix(1);
  }
  if (value > kMaxWidth) Refuse("a format's width or precision is too large");
  return value;
}

int TakePrecision(std::string_view& text) {
  const size_t value = TakeWidth(text);
  if (value > kMaxPrecision) Refuse("a format's width or precision is too large");
  return static_cast<int>(value);
}

bool Takes(std::string_view& text, char c) {
  const bool is = text.starts_with(c);
  if (is) text.remove_prefix(1);
  return is;
}

std::string FormatInt(Int value, const FormatSpec& spec) {
  if (spec.precision) Refuse("Precision not allowed in integer format specifier");
  const bool upper = spec.type == 'X';
  const int base = spec.type == 'x' || upper ? 16
                   : spec.type == 'o'        ? 8
                   : spec.type == 'b'        ? 2
                                             : 10;
  std::string digits = IntText(value, base);
  if (value < 0) digits.erase(0, 1);
  if (upper) digits = Upper(digits);
  std::string sign = SignOf(value < 0, spec);
  if (spec.alternate && base != 10) sign += std::string("0") + spec.type;
  return Padded(sign, Grouped(digits, spec.grouping), spec, '>');
}

std::string FormatFloat(double value, const FormatSpec& spec) {
  const bool negative = std::signbit(value) && !std::isnan(value);
  const double size = std::abs(value);
  const int precision = spec.precision.value_or(6);
  std::string digits;
  if (!std::isfinite(value)) {
    digits = std::isnan(value) ? "nan" : "inf";
  } else {
    switch (spec.type) {
      case 'f':
      case 'F':
        digits = fmt::format("{:.{}f}", size, precision);
        break;
      case '%':
        digits = fmt::format("{:.{}f}", size * 100, precision) + "%";
        break;
      case 'e':
        digits = fmt::format("{:.{}e}", size, precision);
        break;
      case 'E':
        digits = fmt::format("{:.{}E}", size, precision);
        break;
      case 'g':
        digits = fmt::format("{:.{}g}", size, std::max(precision, 1));
        break;
      case '\0':
        digits = FloatText(size);
        if (spec.precision) {
          digits = fmt::format("{:.{}g}", size, std::max(precision, 1));
          if (digits.find_first_of(".e") == digits.npos) digits += ".0";
        }
        break;
      default:
        Refuse("Unknown format code '{}' for object of type 'float'", spec.type);
    }
  }
  return Padded(SignOf(negative, spec), Grouped(digits, spec.grouping), spec, '>');
}

std::string FormatText(std::string_view text, const FormatSpec& spec) {
  if (spec.precision) text = text.substr(0, ByteOf(text, static_cast<size_t>(*spec.precision)));
  return Padded("", std::string(text), spec, '<');
}

}  // namespace quern::jinja
