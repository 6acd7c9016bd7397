#include <algorithm>

#include "model/chat/bound.h"
#include "model/chat/brace_format.h"
#include "model/chat/machine.h"
#include "model/chat/methods.h"
#include "model/chat/text_of.h"
#include "model/chat/unicode_text.h"

// Methods of text that make text of it; those that search or take apart are in search_methods.cc.
namespace quern::jinja {
namespace {

// Work on all of the text, before what is made of it is charged.
const std::string& TextOf(Machine& machine, const Value& self) {
  machine.heap().Charge(self.text().size());
  return self.text();
}

template <std::string (*Change)(std::string_view)>
Value Changed(Machine& machine, const Value& self, const Args& args) {
  const Bound bound("str method", args, {});
  machine.heap().Charge(self.text().size() * 4);
  return machine.heap().Str(Change(TextOf(machine, self)));
}

template <Side side>
Value Strip(Machine& machine, const Value& self, const Args& args) {
  const Bound bound("strip", args, {"chars"});
  const std::string& text = TextOf(machine, self);
  if (!bound.Has(0)) return machine.heap().Str(std::string(StripSpace(text, side)));
  machine.heap().Charge(bound.Text(0).size() * 8);
  return machine.heap().Str(std::string(StripChars(text, bound.Text(0), side)));
}

Value Replace(Machine& machine, const Value& self, const Args& args) {
  const Bound bound("replace", args, {"old", "new", "count"}, 2);
  const std::string &text = TextOf(machine, self), &old = bound.Text(0), &with = bound.Text(1);
  const Int limit = bound.Integer(2, -1);
  const Int found = static_cast<Int>(CountOf(text, old));
  const Int count = limit < 0 ? found : std::min(limit, found);
  machine.heap().Charge(static_cast<uint64_t>(count));
  machine.heap().Charge(static_cast<uint64_t>(count * static_cast<Int>(with.size())));
  return machine.heap().Str(ReplaceAll(text, old, with, static_cast<int64_t>(count)));
}

Value Join(Machine& machine, const Value& self, const Args& args) {
  const Bound bound("join", args, {"iterable"}, 1);
  std::string out;
  size_t index = 0;
  for (const Value& item : Items(machine.heap(), bound.At(0))) {
    if (!item.Is(Kind::kString)) {
      Refuse("sequence item {}: expected str instance, {} found", index, TypeName(item));
    }
    machine.heap().Charge(self.text().size() + item.text().size());
    if (index++ > 0) out += self.text();
    out += item.text();
  }
  return machine.heap().Str(std::move(out));
}

Value Format(Machine& machine, const Value& self, const Args& args) {
  return machine.heap().Str(BraceFormat(machine, self.text(), args));
}

Value FormatMap(Machine& machine, const Value& self, const Args& args) {
  const Bound bound("format_map", args, {"mapping"}, 1);
  if (!bound.At(0).Is(Kind::kDict)) Refuse("format_map() argument must be a dict");
  Args named;
  for (const auto& [key, value] : bound.At(0).dict().entries) {
    if (key.Is(Kind::kString)) named.named.emplace_back(key.text(), value);
  }
  return machine.heap().Str(BraceFormat(machine, self.text(), named));
}

template <char align>
Value Justify(Machine& machine, const Value& self, const Args& args) {
  const Bound bound("justify", args, {"width", "fillchar"}, 1);
  const std::string fill = bound.Has(1) ? bound.Text(1) : " ";
  if (CountCodes(fill) != 1) Refuse("The fill character must be exactly one character long");
  const Int length = static_cast<Int>(self.string().length);
  const Int lacks = std::max<Int>(bound.Integer(0) - length, 0);
  if (lacks > (Int{1} << 40)) Refuse("the template uses too much memory");
  machine.heap().Charge(static_cast<uint64_t>(lacks) * fill.size());
  // Python's center() puts the odd one left where the width is odd.
  const Int width = bound.Integer(0);
  const Int left = align == '<' ? 0 : align == '>' ? lacks : lacks / 2 + (lacks & width & 1);
  std::string out;
  for (Int i = 0; i < left; ++i) out += fill;
  out += self.text();
  for (Int i = left; i < lacks; ++i) out += fill;
  return machine.heap().Str(std::move(out));
}

Value ZeroFill(Machine& machine, const Value& self, const Args& args) {
  const Bound bound("zfill", args, {"width"}, 1);
  const Int lacks = bound.Integer(0) - static_cast<Int>(self.string().length);
  if (lacks > (Int{1} << 40)) Refuse("the template uses too much memory");
  std::string text = self.text();
  if (lacks <= 0) return machine.heap().Str(std::move(text));
  machine.heap().Charge(static_cast<uint64_t>(lacks));
  const bool has_sign = text.starts_with('+') || text.starts_with('-');
  text.insert(has_sign ? 1 : 0, static_cast<size_t>(lacks), '0');
  return machine.heap().Str(std::move(text));
}

template <bool prefix>
Value RemoveEnd(Machine& machine, const Value& self, const Args& args) {
  const Bound bound("removeprefix", args, {"affix"}, 1);
  std::string_view text = TextOf(machine, self);
  const std::string& affix = bound.Text(0);
  if (prefix && text.starts_with(affix)) text.remove_prefix(affix.size());
  if (!prefix && text.ends_with(affix)) text.remove_suffix(affix.size());
  return machine.heap().Str(std::string(text));
}

Value ExpandTabs(Machine& machine, const Value& self, const Args& args) {
  const Bound bound("expandtabs", args, {"tabsize"});
  const Int size = std::clamp<Int>(bound.Integer(0, 8), 0, 1000);
  std::string out;
  Int column = 0;
  for (const char c : TextOf(machine, self)) {
    if (c == '\t') {
      const Int spaces = size == 0 ? 0 : size - column % size;
      machine.heap().Charge(static_cast<uint64_t>(spaces));
      out.append(static_cast<size_t>(spaces), ' ');
      column += spaces;
      continue;
    }
    out += c;
    column = c == '\n' || c == '\r' ? 0 : column + ((c & 0xC0) != 0x80);
  }
  return machine.heap().Str(std::move(out));
}

// Whether the text is not empty and all of its code points are so.
template <bool (*Is)(char32_t)>
Value AllAre(Machine& machine, const Value& self, const Args& args) {
  const Bound bound("str test", args, {});
  const std::u32string codes = Decode(TextOf(machine, self));
  return Value::Bool(!codes.empty() && std::all_of(codes.begin(), codes.end(), Is));
}

bool IsAlphanumeric(char32_t code) {
  return IsLetter(code) || IsDecimal(code) || IsDigit(code) || IsNumeric(code);
}

bool IsAscii(char32_t code) { return code < 0x80; }

Value IsAsciiText(Machine& machine, const Value& self, const Args& args) {
  return Value::Bool(self.text().empty() || AllAre<IsAscii>(machine, self, args).boolean());
}

Value IsTitleText(Machine& machine, const Value& self, const Args& args) {
  const Bound bound("istitle", args, {});
  const std::string& text = TextOf(machine, self);
  const std::u32string codes = Decode(text);
  const bool cased = std::any_of(codes.begin(), codes.end(), [](char32_t code) {
    return IsUpper(code) || IsLower(code) || IsTitle(code);
  });
  return Value::Bool(cased && TitleWords(text) == text);
}

Value IsIdentifier(Machine& machine, const Value& self, const Args& args) {
  const Bound bound("isidentifier", args, {});
  const std::u32string codes = Decode(TextOf(machine, self));
  const bool all = std::all_of(codes.begin(), codes.end(), [](char32_t code) {
    return code == U'_' || IsLetter(code) || IsDecimal(code);
  });
  return Value::Bool(all && !codes.empty() && !IsDecimal(codes[0]));
}

}  // namespace

std::span<const MethodEntry> TextMethods() {
  static constexpr MethodEntry kMethods[] = {
      {"strip", Strip<Side::kBoth>},
      {"lstrip", Strip<Side::kLeft>},
      {"rstrip", Strip<Side::kRight>},
      {"replace", Replace},
      {"join", Join},
      {"format", Format},
      {"format_map", FormatMap},
      {"upper", Changed<Upper>},
      {"lower", Changed<Lower>},
      {"casefold", Changed<Lower>},
      {"title", Changed<TitleWords>},
      {"capitalize", Changed<Capitalize>},
      {"swapcase", Changed<SwapCase>},
      {"ljust", Justify<'<'>},
      {"rjust", Justify<'>'>},
      {"center", Justify<'^'>},
      {"zfill", ZeroFill},
      {"removeprefix", RemoveEnd<true>},
      {"removesuffix", RemoveEnd<false>},
      {"expandtabs", ExpandTabs},
      {"isalpha", AllAre<IsLetter>},
      {"isalnum", AllAre<IsAlphanumeric>},
      {"isdigit", AllAre<IsDigit>},
      {"isdecimal", AllAre<IsDecimal>},
      {"isnumeric", AllAre<IsNumeric>},
      {"isspace", AllAre<IsSpace>},
      {"isascii", IsAsciiText},
      {"istitle", IsTitleText},
      {"isidentifier", IsIdentifier},
  };
  return kMethods;
}

}  // namespace quern::jinja
