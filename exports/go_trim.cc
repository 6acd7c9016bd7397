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

}  // namespace

void WriteTrimTemplates(const Trim& trim, GoWriter& writer) {
  const std::string name = NameOf(trim);
  const std::string right = trim.left == 0 ? name : name + "_right";
  if (trim.left != 0) {
    writer.Control(fmt::format("define \"{}\"", name));
    writer.Control("if .");
    WriteWidth(trim.left, true, writer);
    writer.Control("if $n");
    writer.Control(fmt::format("template \"{}\" (slice . $n)", name));
    writer.Control("else");
    writer.Print(trim.right != 0 ? fmt::format("template \"{}\" .", right) : ".");
    for (int i = 0; i < 3; ++i) writer.Control("end");
  }
  if (trim.right == 0) return;
  writer.Control(fmt::format("define \"{}\"", right));
  writer.Control("if .");
  WriteWidth(trim.right, false, writer);
  writer.Control("if $n");
  writer.Control(fmt::format("template \"{}\" (slice . 0 (len (slice . $n)))", right));
  writer.Control("else");
  writer.Print(".");
  for (int i = 0; i < 3; ++i) writer.Control("end");
}

std::string TrimmedPrint(const Trim& trim, std::string_view value) {
  if (trim == Trim{}) return std::string(value);
  return fmt::format("template \"{}\" {}", NameOf(trim), value);
}

}  // namespace quern
