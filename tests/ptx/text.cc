#include "tests/ptx/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>

#include "tests/ptx/program.h"

namespace quern::ptx {

size_t Find(std::string_view text, std::string_view what, size_t from) {
  const size_t at = text.find(what, from);
  if (at == text.npos) throw Fault(fmt::format("'{}' is missing", what));
  return at;
}

std::string_view Trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(kBlanks);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) + 1 - first);
}

std::vector<std::string_view> Split(std::string_view text) {
  std::vector<std::string_view> parts;
  int depth = 0;
  size_t begin = 0;
  for (size_t i = 0; i <= text.size(); ++i) {
    const char c = i < text.size() ? text[i] : ',';
    depth += c == '{' || c == '[' || c == '(';
    depth -= c == '}' || c == ']' || c == ')';
    if (c != ',' || depth > 0) continue;
    if (const auto part = Trimmed(text.substr(begin, i - begin)); !part.empty()) {
      parts.push_back(part);
    }
    begin = i + 1;
  }
  return parts;
}

std::vector<std::string_view> SplitDots(std::string_view name) {
  std::vector<std::string_view> parts;
  for (size_t begin = 0; begin <= name.size();) {
    const size_t dot = std::min(name.find('.', begin), name.size());
    parts.push_back(name.substr(begin, dot - begin));
    begin = dot + 1;
  }
  return parts;
}

int BytesOf(std::string_view type) {
  for (const int bytes : {1, 2, 4, 8}) {
    if (type.size() > 1 && type.substr(1) == std::to_string(8 * bytes)) return bytes;
  }
  throw Fault(fmt::format("'{}' is no type", type));
}

int64_t Number(std::string_view text) {
  const bool hex = text.starts_with("0x");
  int64_t value = 0;
  const char* begin = text.data() + (hex ? 2 : 0);
  const auto [end, error] = std::from_chars(begin, text.data() + text.size(), value, hex ? 16 : 10);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) {
    throw Fault(fmt::format("'{}' is no number", text));
  }
  return value;
}

Array::Array(std::string_view text) {
  const size_t at = text.find(".align ");
  const size_t type = text.find(".b", at);
  const size_t begin = text.find_first_of(" \t", type);
  const size_t bracket = text.find('[', begin);
  if (at == text.npos || bracket == text.npos) throw Fault(fmt::format("'{}'", text));
  const auto aligned = text.substr(at + 7);
  align = static_cast<size_t>(Number(aligned.substr(0, aligned.find(' '))));
  if (!std::has_single_bit(align)) throw Fault(fmt::format("alignment {}", align));
  element_bytes = BytesOf(text.substr(type + 1, begin - type - 1));
  name = Trimmed(text.substr(begin, bracket - begin));
  const auto size = text.substr(bracket + 1, text.find(']', bracket) - bracket - 1);
  const int64_t count = size.empty() ? 0 : Number(size);
  if (count < 0 || count > (1 << 24)) throw Fault(fmt::format("{} elements", count));
  bytes = static_cast<size_t>(count * element_bytes);
  if (const size_t brace = text.find('{', bracket); brace != text.npos) {
    values = Split(text.substr(brace + 1, Find(text, "}", brace) - brace - 1));
  }
  if (values.size() * static_cast<size_t>(element_bytes) > bytes) {
    throw Fault(fmt::format("too many values of {}", name));
  }
}

}  // namespace quern::ptx
