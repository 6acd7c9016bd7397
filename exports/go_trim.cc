#include "exports/go_trim.h"

#include <fmt/format.h>

namespace quern {
namespace {

// Python's white space: one byte, and in UTF-8 two and three.
constexpr std::string_view kAllBytes = "9 10 11 12 13 28 29 30 31 32";
constexpr std::string_view kAllPairs = R"("\u0085" "\u00a0")";
constexpr std::string_view kAllTriples =
    R"("\u1680" "\u2000" "\u2001" "\u2002" "\u2003" "\u2004" "\u2005" "\u2006" "\u2007" "\u2008" )"
    R"("\u2009" "\u200a" "\u2028" "\u2029" "\u202f" "\u205f" "\u3000")";

std::string BytesOf(uint8_t mask) {
  if (mask == kTrimAll) return std::string(kAllBytes);
  std::string bytes;
  for (size_t i = 0; i < std::size(kTrimSpaces); ++i) {
    if ((mask & (1 << i)) == 0 || kTrimSpaces[i].size() > 1) continue;
    bytes += fmt::format("{}{}", bytes.empty() ? "" : " ", static_cast<int>(kTrimSpaces[i][0]));
  }
  return bytes;
}

std::string NameOf(const Trim& trim) {
  const bool all =
      (trim.left == 0 || trim.left == kTrimAll) && (trim.right == 0 || trim.right == kTrimAll);
  const std::string_view side = trim.left == 0 ? "rstrip" : trim.right == 0 ? "lstrip" : "strip";
  return all ? std::string(side) : fmt::format("{}_{}_{}", side, trim.left, trim.right);
}

// Sets $n to the bytes of the white space at one end of the dot, which is not empty.
void WriteWidth(uint8_t mask, bool at_left, GoWriter& writer) {
  writer.Control("$n := 0");
  writer.Control(
      fmt::format("if eq (index . {}) {}", at_left ? "0" : "(len (slice . 1))", BytesOf(mask)));
  writer.Control("$n = 1");
  writer.Control("end");
  if (mask != kTrimAll) return;
  for (const int width : {2, 3}) {
    writer.Control(fmt::format("if ge (len .) {}", width));
    const std::string part = at_left ? fmt::format("slice . 0 {}", width)
                                     : fmt::format("slice . (len (slice . {}))", width);
    writer.Control(fmt::format("if eq ({}) {}", part, width == 2 ? kAllPairs : kAllTriples));
    writer.Control(fmt::format("$n = {}", width));
    writer.Control("end");
    writer.Control("end");
  }
}

// Defines a template that calls itself with one character less at one end of the dot, as long as
// that is white space, and then prints `rest`.
void WriteSide(const std::string& name, uint8_t mask, bool at_left, const std::string& rest,
               GoWriter& writer) {
  writer.Control(fmt::format("define \"{}\"", name));
  writer.Control("if .");
  WriteWidth(mask, at_left, writer);
  writer.Control("if $n");
  writer.Control(fmt::format("template \"{}\" ({})", name,
                             at_left ? "slice . $n" : "slice . 0 (len (slice . $n))"));
  writer.Control("else");
  writer.Print(rest);
  for (int i = 0; i < 3; ++i) writer.Control("end");
}

}  // namespace

void WriteTrimTemplates(const Trim& trim, GoWriter& writer) {
  const std::string name = NameOf(trim);
  const std::string right = trim.left == 0 ? name : name + "_right";
  if (trim.left != 0) {
    const std::string rest = trim.right == 0 ? "." : fmt::format("template \"{}\" .", right);
    WriteSide(name, trim.left, true, rest, writer);
  }
  if (trim.right != 0) WriteSide(right, trim.right, false, ".", writer);
}

std::string TrimmedPrint(const Trim& trim, std::string_view value) {
  if (trim == Trim{}) return std::string(value);
  return fmt::format("template \"{}\" {}", NameOf(trim), value);
}

}  // namespace quern
