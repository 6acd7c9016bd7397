#include "model/chat/brace_format.h"

#include <algorithm>

#include "model/chat/format_spec.h"
#include "model/chat/heap.h"
#include "model/chat/machine.h"
#include "model/chat/numbers.h"
#include "model/chat/text_of.h"
#include "model/chat/unicode_text.h"

namespace quern::jinja {
namespace {

FormatSpec ParseFormatSpec(std::string_view text) {
  static constexpr std::string_view kAligns = "<>=^";
  FormatSpec spec;
  const size_t fill = text.empty() ? 0 : std::min(Utf8Width(text[0]), text.size());
  if (fill < text.size() && fill > 0 && kAligns.find(text[fill]) != kAligns.npos) {
    spec.fill = text.substr(0, fill);
    spec.align = text[fill];
    text.remove_prefix(fill + 1);
  } else if (!text.empty() && kAligns.find(text[0]) != kAligns.npos) {
    spec.align = text[0];
    text.remove_prefix(1);
  }
  for (const char sign : {'+', '-', ' '}) {
    if (Takes(text, sign)) {
      spec.sign = sign;
      break;
    }
  }
  spec.alternate = Takes(text, '#');
  if (Takes(text, '0') && spec.align == '\0') {
    spec.fill = "0";
    spec.align = '=';
  }
  spec.width = TakeWidth(text);
  if (Takes(text, ',')) spec.grouping = ',';
  if (Takes(text, '_')) spec.grouping = '_';
  if (Takes(text, '.')) spec.precision = TakePrecision(text);
  if (!text.empty()) spec.type = text[0];
  if (text.size() > 1) Refuse("Invalid format specifier");
  return spec;
}

// chr(code).
std::string CharacterOf(Int code) {
  if (code < 0 || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) {
    Refuse("%c arg not in range(0x110000)");
  }
  return Encode(std::u32string(1, static_cast<char32_t>(code)));
}

// format(value, spec).
std::string FormatValue(Heap& heap, const Value& value, std::string_view text) {
  if (text.empty()) return StrOf(heap, value);
  const FormatSpec spec = ParseFormatSpec(text);
  static constexpr std::string_view kFloatTypes = "fFeEgG%";
  const bool is_float_type = spec.type != '\0' && kFloatTypes.find(spec.type) != kFloatTypes.npos;
  if (value.Is(Kind::kString)) {
    if (spec.type != '\0' && spec.type != 's') {
      Refuse("Unknown format code '{}' for object of type 'str'", spec.type);
    }
    if (spec.align == '=' && spec.fill != "0") Refuse("'=' alignment not allowed in string format");
    FormatSpec left = spec;
    if (left.align == '=') left.align = '<';
    return FormatText(value.text(), left);
  }
  if (value.Is(Kind::kFloat) || (value.IsInt() && is_float_type)) {
    return FormatFloat(value.ToDouble(), spec);
  }
  if (value.IsInt()) {
    static constexpr std::string_view kIntTypes("\0dxXobn", 7);
    if (spec.type == 'c') return FormatText(CharacterOf(value.integer()), spec);
    if (kIntTypes.find(spec.type) == kIntTypes.npos) {
      Refuse("Unknown format code '{}' for object of type 'int'", spec.type);
    }
    return FormatInt(value.integer(), spec);
  }
  Refuse("unsupported format string passed to {}.__format__", TypeName(value));
}

// One "{...}" of str.format, without its braces.
class Brace {
 public:
  Brace(Machine& machine, const Args& args) : machine_(machine), args_(args) {}

  std::string Show(std::string_view field) {
    const size_t end = std::min(field.find_first_of("!:"), field.size());
    Value value = Find(field.substr(0, end));
    std::string_view rest = field.substr(end);
    if (rest.starts_with('!')) {
      const char how = rest.size() > 1 ? rest[1] : '\0';
      if (how != 'r' && how != 's') Refuse("a format's conversion is not !r or !s");
      std::string text;
      if (how == 'r') {
        AppendRepr(machine_.heap(), value, text);
      } else {
        AppendStr(machine_.heap(), value, text);
      }
      value = machine_.heap().Str(std::move(text));
      rest.remove_prefix(2);
    }
    if (!rest.empty() && rest[0] != ':') Refuse("expected ':' after conversion specifier");
    if (!rest.empty()) rest.remove_prefix(1);
    if (rest.find('{') == rest.npos) return FormatValue(machine_.heap(), value, rest);
    return FormatValue(machine_.heap(), value, BraceFormat(machine_, rest, args_));
  }

 private:
  Value Find(std::string_view name) {
    const size_t end = std::min(name.find_first_of(".["), name.size());
    Value value = Argument(name.substr(0, end));
    for (name.remove_prefix(end); !name.empty();) {
      if (name[0] == '.') {
        const size_t next = std::min(name.find_first_of(".[", 1), name.size());
        value = machine_.Attribute(value, std::string(name.substr(1, next - 1)));
        name.remove_prefix(next);
      } else {
        const size_t close = name.find(']');
        if (close == name.npos) Refuse("Missing ']' in format string");
        const std::string_view key = name.substr(1, close - 1);
        const auto number = ParseInt(key, 10);
        value = machine_.Item(
            value, number ? Value::Integer(*number) : machine_.heap().Str(std::string(key)));
        name.remove_prefix(close + 1);
      }
    }
    return value;
  }

  Value Argument(std::string_view name) {
    size_t place = next_;
    if (name.empty()) {
      ++next_;
    } else if (const auto number = ParseInt(name, 10)) {
      place = *number < 0 || *number > 1000000 ? 1000000 : static_cast<size_t>(*number);
    } else {
      for (const auto& [known, value] : args_.named) {
        if (known == name) return value;
      }
      Refuse("a format's key is not there: '{}'", name);
    }
    if (place >= args_.at.size()) {
      Refuse("Replacement index {} out of range for positional args tuple", place);
    }
    return args_.at[place];
  }

  Machine& machine_;
  const Args& args_;
  size_t next_ = 0;
};

}  // namespace

std::string BraceFormat(Machine& machine, std::string_view format, const Args& args) {
  std::string out;
  Brace brace(machine, args);
  for (size_t at = 0; at < format.size(); ++at) {
    const char c = format[at];
    if (c != '{' && c != '}') {
      out += c;
      continue;
    }
    if (at + 1 < format.size() && format[at + 1] == c) {
      out += c;
      ++at;
      continue;
    }
    if (c == '}') Refuse("Single '}}' encountered in format string");
    int depth = 1;
    size_t end = at + 1;
    for (; end < format.size() && depth > 0; ++end) {
      depth += format[end] == '{' ? 1 : format[end] == '}' ? -1 : 0;
    }
    if (depth > 0) Refuse("expected '}}' before end of string");
    if (end - at > 1000) Refuse("a format's field is too long");
    out += brace.Show(format.substr(at + 1, end - at - 2));
    machine.heap().Charge(out.size() / 16 + 64);
    at = end - 1;
  }
  return out;
}

}  // namespace quern::jinja
