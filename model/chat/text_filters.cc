#include <algorithm>

#include "base/html.h"
#include "model/chat/bound.h"
#include "model/chat/filters.h"
#include "model/chat/machine.h"
#include "model/chat/methods.h"
#include "model/chat/percent_format.h"
#include "model/chat/text_of.h"
#include "model/chat/unicode_text.h"

namespace quern::jinja {
namespace {

// Text as it is, other values as str() shows them.
Value SoftText(Machine& machine, const Value& value) {
  if (value.Is(Kind::kString)) return value;
  return machine.heap().Str(StrOf(machine.heap(), value));
}

// What the method of the same name makes of the value's text.
Value ByMethod(Machine& machine, const Value& value, const char* name, const Args& args) {
  const Value text = SoftText(machine, value);
  return CallMethod(machine, FindMethod(text, name), text, args);
}

Value UpperFilter(Machine& machine, const Value& value, const Args& args) {
  return ByMethod(machine, value, "upper", args);
}
Value LowerFilter(Machine& machine, const Value& value, const Args& args) {
  return ByMethod(machine, value, "lower", args);
}
Value CapitalizeFilter(Machine& machine, const Value& value, const Args& args) {
  return ByMethod(machine, value, "capitalize", args);
}
Value TrimFilter(Machine& machine, const Value& value, const Args& args) {
  return ByMethod(machine, value, "strip", args);
}

Value CenterFilter(Machine& machine, const Value& value, const Args& args) {
  const Bound bound("center", args, {"width"});
  return ByMethod(machine, value, "center", {{Value::Integer(bound.Integer(0, 80))}, {}});
}

// Capital letters behind white space, hyphens and opening brackets alone.
Value Title(Machine& machine, const Value& value, const Args& args) {
  const Bound bound("title", args, {});
  const std::string text = StrOf(machine.heap(), value);
  machine.heap().Charge(text.size() * 4);
  std::string out;
  for (size_t at = 0; at < text.size();) {
    size_t end = at;
    const auto divides = [&](size_t place, size_t width) {
      const std::string_view code = std::string_view(text).substr(place, width);
      return StripSpace(code).empty() || std::string_view("-({[<").find(code) != code.npos;
    };
    while (end < text.size() && !divides(end, Utf8Width(text[end]))) end += Utf8Width(text[end]);
    out += Capitalize(std::string_view(text).substr(at, end - at));
    if (end < text.size()) out += text.substr(end, Utf8Width(text[end]));
    at = end < text.size() ? end + Utf8Width(text[end]) : end;
  }
  return machine.heap().Str(std::move(out));
}

Value ReplaceFilter(Machine& machine, const Value& value, const Args& args) {
  const Bound bound("replace", args, {"old", "new", "count"}, 2);
  Heap& heap = machine.heap();
  const Value text = heap.Str(StrOf(heap, value));
  const Value count = bound.Has(2) ? bound.At(2) : Value::Integer(-1);
  return ByMethod(
      machine, text, "replace",
      {{heap.Str(StrOf(heap, bound.At(0))), heap.Str(StrOf(heap, bound.At(1))), count}, {}});
}

Value Indent(Machine& machine, const Value& value, const Args& args) {
  const Bound bound("indent", args, {"width", "first", "blank"});
  if (!value.Is(Kind::kString)) Refuse("indent needs a str, not {}", TypeName(value));
  std::string indention;
  if (bound.At(0).Is(Kind::kString)) {
    indention = bound.Text(0);
  } else {
    const Int width = std::max<Int>(bound.Integer(0, 4), 0);
    machine.heap().Charge(width > (Int{1} << 40) ? uint64_t{1} << 60
                                                 : static_cast<uint64_t>(width));
    indention.assign(static_cast<size_t>(width), ' ');
  }
  const std::string text = value.text() + "\n";
  const std::vector<std::string_view> lines = SplitLines(text, false);
  machine.heap().Charge(text.size());
  std::string out = bound.Flag(1) ? indention : "";
  for (size_t i = 0; i < lines.size(); ++i) {
    machine.heap().Charge(indention.size() + lines[i].size() + 16);
    if (i > 0) out += "\n";
    if (i > 0 && (bound.Flag(2) || !lines[i].empty())) out += indention;
    out += lines[i];
  }
  return machine.heap().Str(std::move(out), value.string().safe);
}

Value Truncate(Machine& machine, const Value& value, const Args& args) {
  const Bound bound("truncate", args, {"length", "killwords", "end", "leeway"});
  if (!value.Is(Kind::kString)) Refuse("truncate needs a str, not {}", TypeName(value));
  const std::string end = bound.Has(2) ? bound.Text(2) : "...";
  const Int end_length = static_cast<Int>(CountCodes(end));
  const Int length = bound.Integer(0, 255), leeway = bound.Has(3) ? bound.Integer(3) : 5;
  if (length < end_length) Refuse("truncate: the length is less than that of its end");
  if (leeway < 0) Refuse("truncate: expected leeway >= 0");
  if (static_cast<Int>(value.string().length) - leeway <= length) return value;
  const std::string_view text = value.text();
  std::string_view kept = text.substr(0, ByteOf(text, static_cast<size_t>(length - end_length)));
  if (!bound.Flag(1)) kept = kept.substr(0, kept.rfind(' '));
  return machine.heap().Str(std::string(kept) + end);
}

Value WordCount(Machine& machine, const Value& value, const Args& args) {
  const Bound bound("wordcount", args, {});
  const std::string text = StrOf(machine.heap(), value);
  machine.heap().Charge(text.size() * sizeof(char32_t));
  Int count = 0;
  bool inside = false;
  for (const char32_t code : Decode(text)) {
    const bool is_word = IsLetter(code) || IsNumeric(code) || code == U'_';
    count += is_word && !inside;
    inside = is_word;
  }
  return Value::Integer(count);
}

Value String(Machine& machine, const Value& value, const Args& args) {
  const Bound bound("string", args, {});
  return SoftText(machine, value);
}

Value SafeFilter(Machine& machine, const Value& value, const Args& args) {
  const Bound bound("safe", args, {});
  return machine.heap().Str(StrOf(machine.heap(), value), true);
}

Value ForceEscape(Machine& machine, const Value& value, const Args& args) {
  const Bound bound("escape", args, {});
  const std::string text = StrOf(machine.heap(), value);
  machine.heap().Charge(text.size() * 5);
  return machine.heap().Str(EscapeHtml(text), true);
}

Value EscapeFilter(Machine& machine, const Value& value, const Args& args) {
  if (value.Is(Kind::kString) && value.string().safe) return value;
  return ForceEscape(machine, value, args);
}

Value FormatFilter(Machine& machine, const Value& value, const Args& args) {
  Heap& heap = machine.heap();
  if (!args.at.empty() && !args.named.empty()) {
    Refuse("can't handle positional and keyword arguments at the same time");
  }
  Value values = heap.TupleOf(args.at);
  if (!args.named.empty()) {
    Dict* const dict = heap.New<Dict>();
    for (const auto& [name, one] : args.named) dict->Set(heap, heap.Str(name), one);
    values = Value(Kind::kDict, dict);
  }
  return heap.Str(PercentFormat(heap, StrOf(heap, value), values));
}

Value UrlEncode(Machine& machine, const Value& value, const Args& args) {
  const Bound bound("urlencode", args, {});
  static constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-~/";
  std::string out;
  for (const char c : StrOf(machine.heap(), value)) {
    machine.heap().Charge(3);
    if (kPlain.find(c) != kPlain.npos) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return machine.heap().Str(std::move(out));
}

std::string Spaces(const Bound& bound, size_t index) {
  if (bound.At(index).Is(Kind::kString)) return bound.Text(index);
  const Int width = std::clamp<Int>(bound.Integer(index), 0, 1000);
  return std::string(static_cast<size_t>(width), ' ');
}

Value ToJson(Machine& machine, const Value& value, const Args& args) {
  const Bound bound("tojson", args, {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  style.ascii = bound.Flag(0);
  style.has_indent = bound.Has(1);
  if (style.has_indent) {
    style.indent = Spaces(bound, 1);
    style.item_separator = ",";
  }
  if (bound.Has(2)) {
    const std::vector<Value> separators = Items(machine.heap(), bound.At(2));
    if (separators.size() != 2 || !separators[0].Is(Kind::kString) ||
        !separators[1].Is(Kind::kString)) {
      Refuse("tojson: separators must be two texts");
    }
    style.item_separator = separators[0].text();
    style.key_separator = separators[1].text();
  }
  style.sort_keys = bound.Flag(3);
  return machine.heap().Str(JsonOf(machine.heap(), value, style));
}

}  // namespace

std::span<const FilterEntry> TextFilters() {
  static constexpr FilterEntry kFilters[] = {
      {"upper", UpperFilter},     {"lower", LowerFilter},
      {"trim", TrimFilter},       {"capitalize", CapitalizeFilter},
      {"center", CenterFilter},   {"title", Title},
      {"replace", ReplaceFilter}, {"indent", Indent},
      {"truncate", Truncate},     {"wordcount", WordCount},
      {"string", String},         {"safe", SafeFilter},
      {"e", EscapeFilter},        {"escape", EscapeFilter},
      {"format", FormatFilter},   {"forceescape", ForceEscape},
      {"urlencode", UrlEncode},   {"tojson", ToJson},
  };
  return kFilters;
}

}  // namespace quern::jinja
