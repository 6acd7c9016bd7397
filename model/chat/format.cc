#include "model/chat/format.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "model/chat/heap.h"
#include "model/chat/machine.h"
#include "model/chat/numbers.h"
#include "model/chat/text_of.h"
#include "model/chat/unicode_text.h"

namespace quern::jinja {
namespace {

// How one value is to be shown: [[fill]align][sign][#][0][width][,][.precision][type].
struct Spec {
  std::string fill = " ";
  char align = '\0', sign = '-', grouping = '\0', type = '\0';
  bool alternate = false;
  size_t width = 0;
  std::optional<int> precision;
};

constexpr size_t kMaxWidth = 100000;
constexpr int kMaxPrecision = 1000;

size_t TakeNumber(std::string_view& text) {
  size_t value = 0;
  while (!text.empty() && text[0] >= '0' && text[0] <= '9') {
    value = std::min(value * 10 + static_cast<size_t>(text[0] - '0'), size_t{1} << 30);
    text.remove_prefix(1);
  }
  if (value > kMaxWidth) Refuse("a format's width or precision is too large");
  return value;
}

int TakePrecision(std::string_view& text) {
  const size_t value = TakeNumber(text);
  if (value > kMaxPrecision) Refuse("a format's width or precision is too large");
  return static_cast<int>(value);
}

bool Takes(std::string_view& text, char c) {
  const bool is = text.starts_with(c);
  if (is) text.remove_prefix(1);
  return is;
}

Spec ParseSpec(std::string_view text) {
  static constexpr std::string_view kAligns = "<>=^";
  Spec spec;
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
  spec.width = TakeNumber(text);
  if (Takes(text, ',')) spec.grouping = ',';
  if (Takes(text, '_')) spec.grouping = '_';
  if (Takes(text, '.')) spec.precision = TakePrecision(text);
  if (!text.empty()) spec.type = text[0];
  if (text.size() > 1) Refuse("Invalid format specifier");
  return spec;
}

// `digits` of a number, padded behind its sign or around it.
std::string Padded(std::string sign, std::string body, const Spec& spec, char default_align) {
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

std::string SignOf(bool negative, const Spec& spec) {
  return negative ? "-" : spec.sign == '-' ? "" : std::string(1, spec.sign);
}

std::string FormatInt(Int value, const Spec& spec) {
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

std::string FormatFloat(double value, const Spec& spec) {
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

std::string FormatText(std::string_view text, const Spec& spec) {
  if (spec.precision) text = text.substr(0, ByteOf(text, static_cast<size_t>(*spec.precision)));
  return Padded("", std::string(text), spec, '<');
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
  const Spec spec = ParseSpec(text);
  static constexpr std::string_view kFloatTypes = "fFeEgG%";
  const bool is_float_type = spec.type != '\0' && kFloatTypes.find(spec.type) != kFloatTypes.npos;
  if (value.Is(Kind::kString)) {
    if (spec.type != '\0' && spec.type != 's') {
      Refuse("Unknown format code '{}' for object of type 'str'", spec.type);
    }
    if (spec.align == '=' && spec.fill != "0") Refuse("'=' alignment not allowed in string format");
    Spec left = spec;
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

// One "%..." behind its percent sign: takes what belongs to it from `format`.
class Percent {
 public:
  Percent(Heap& heap, const Value& values) : heap_(heap), values_(values) {}

  std::string Next(std::string_view& format) {
    Value value;
    bool has_value = false;
    if (Takes(format, '(')) {
      const size_t end = format.find(')');
      if (end == format.npos) Refuse("incomplete format key");
      if (!values_.Is(Kind::kDict)) Refuse("format requires a mapping");
      const Value* found = values_.dict().Find(format.substr(0, end));
      if (found == nullptr) Refuse("a format's key is not there: '{}'", format.substr(0, end));
      value = *found;
      has_value = used_ = true;
      format.remove_prefix(end + 1);
    }
    Spec spec;
    for (bool more = true; more;) {
      more = false;
      if (Takes(format, '-')) more = true, spec.align = '<';
      if (Takes(format, '+')) more = true, spec.sign = '+';
      if (Takes(format, ' ')) more = true, spec.sign = spec.sign == '+' ? '+' : ' ';
      if (Takes(format, '#')) more = true, spec.alternate = true;
      if (Takes(format, '0')) more = true, spec.fill = "0";
    }
    spec.width = TakeNumber(format);
    if (Takes(format, '.')) spec.precision = TakePrecision(format);
    if (format.empty()) Refuse("incomplete format");
    spec.type = format[0];
    format.remove_prefix(1);
    if (spec.type == '%') return "%";
    if (!has_value) value = TakeValue();
    return Shown(value, spec);
  }

  void CheckAllUsed() const {
    const bool left = values_.Is(Kind::kTuple)
                          ? next_ < values_.list().items.size()
                          : !used_ && !values_.Is(Kind::kDict) && !values_.Is(Kind::kList);
    if (left) Refuse("not all arguments converted during string formatting");
  }

 private:
  Value TakeValue() {
    if (values_.Is(Kind::kTuple)) {
      if (next_ == values_.list().items.size()) Refuse("not enough arguments for format string");
      return values_.list().items[next_++];
    }
    if (used_) Refuse("not enough arguments for format string");
    used_ = true;
    return values_;
  }

  std::string Shown(const Value& value, Spec spec) {
    if (spec.type == 's' || spec.type == 'r') {
      std::string text;
      if (spec.type == 's') {
        AppendStr(heap_, value, text);
      } else {
        AppendRepr(heap_, value, text);
      }
      spec.fill = " ";
      if (spec.align == '\0') spec.align = '>';
      return FormatText(text, spec);
    }
    if (!value.IsNumber()) {
      Refuse("%{} format: a real number is required, not {}", spec.type, TypeName(value));
    }
    if (spec.fill == "0") spec.align = spec.align == '<' ? '<' : '=';
    if (spec.align == '<') spec.fill = " ";
    if (spec.type == 'i' || spec.type == 'u') spec.type = 'd';
    static constexpr std::string_view kInts = "dxXo", kFloats = "fFeEgG";
    if (kFloats.find(spec.type) != kFloats.npos) return FormatFloat(value.ToDouble(), spec);
    if (kInts.find(spec.type) == kInts.npos) {
      Refuse("unsupported format character '{}'", spec.type);
    }
    if (value.IsInt()) return FormatInt(value.integer(), spec);
    if (!std::isfinite(value.real()) || std::abs(value.real()) > 1e37) {
      Refuse("cannot convert float to integer");
    }
    return FormatInt(static_cast<Int>(value.real()), spec);
  }

  Heap& heap_;
  const Value& values_;
  size_t next_ = 0;
  bool used_ = false;
};

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

std::string PercentFormat(Heap& heap, std::string_view format, const Value& values) {
  std::string out;
  Percent percent(heap, values);
  while (!format.empty()) {
    const size_t next = std::min(format.find('%'), format.size());
    out += format.substr(0, next);
    format.remove_prefix(next);
    if (!Takes(format, '%')) break;
    out += percent.Next(format);
    heap.Charge(out.size() / 16 + 64);
  }
  percent.CheckAllUsed();
  return out;
}

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
