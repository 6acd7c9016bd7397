#include "model/chat/text_of.h"

#include <algorithm>
#include <cmath>

#include "model/chat/heap.h"
#include "model/chat/numbers.h"
#include "model/chat/unicode_text.h"

namespace quern::jinja {
namespace {

constexpr int kMaxDepth = 100;

void Add(Heap& heap, std::string& out, std::string_view piece) {
  heap.Charge(piece.size() + 1);
  out += piece;
}

std::string QuotedRepr(std::string_view text) {
  const bool has_single = text.find('\'') != text.npos, has_double = text.find('"') != text.npos;
  const char quote = has_single && !has_double ? '"' : '\'';
  std::string out(1, quote);
  for (const char32_t code : Decode(text)) {
    if (code == static_cast<char32_t>(quote) || code == U'\\') {
      out += '\\';
      out += static_cast<char>(code);
    } else if (code == U'\n') {
      out += "\\n";
    } else if (code == U'\r') {
      out += "\\r";
    } else if (code == U'\t') {
      out += "\\t";
    } else if (IsPrintable(code)) {
      AppendUtf8(out, code);
    } else if (code < 0x100) {
      out += fmt::format("\\x{:02x}", static_cast<uint32_t>(code));
    } else if (code < 0x10000) {
      out += fmt::format("\\u{:04x}", static_cast<uint32_t>(code));
    } else {
      out += fmt::format("\\U{:08x}", static_cast<uint32_t>(code));
    }
  }
  out += quote;
  return out;
}

void AppendItems(Heap& heap, const std::vector<Value>& items, std::string& out, int depth) {
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0) Add(heap, out, ", ");
    AppendRepr(heap, items[i], out, depth + 1);
  }
}

void AppendDict(Heap& heap, const Dict& dict, std::string& out, int depth) {
  Add(heap, out, "{");
  for (size_t i = 0; i < dict.entries.size(); ++i) {
    if (i > 0) Add(heap, out, ", ");
    AppendRepr(heap, dict.entries[i].first, out, depth + 1);
    Add(heap, out, ": ");
    AppendRepr(heap, dict.entries[i].second, out, depth + 1);
  }
  Add(heap, out, "}");
}

void AppendSeries(Heap& heap, const Series& series, std::string& out, int depth) {
  if (series.form != Series::kView) return Add(heap, out, series.shown);
  Add(heap, out, series.shown + "([");
  AppendItems(heap, series.items, out, depth);
  Add(heap, out, "])");
}

class JsonWriter {
 public:
  JsonWriter(Heap& heap, const JsonStyle& style) : heap_(heap), style_(style) {}

  void Write(const Value& value, int depth) {
    heap_.Step();
    if (depth > kMaxDepth) Refuse("a value for tojson is nested too deeply");
    switch (value.kind()) {
      case Kind::kNone:
        return Put("null");
      case Kind::kBool:
        return Put(value.boolean() ? "true" : "false");
      case Kind::kInt:
        return Put(IntText(value.integer()));
      case Kind::kFloat:
        return Put(Number(value.real()));
      case Kind::kString:
        return String(value.text());
      case Kind::kList:
      case Kind::kTuple:
        return Array(value.list().items, depth);
      case Kind::kDict:
        return Object(value.dict(), depth);
      default:
        Refuse("Object of type {} is not JSON serializable", TypeName(value));
    }
  }

  std::string Take() { return std::move(out_); }

 private:
  void Put(std::string_view piece) { Add(heap_, out_, piece); }

  static std::string Number(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
    return FloatText(value);
  }

  void NewLine(int depth) {
    if (!style_.has_indent) return;
    Put("\n");
    for (int i = 0; i < depth; ++i) Put(style_.indent);
  }

  void Array(const std::vector<Value>& items, int depth) {
    if (items.empty()) return Put("[]");
    Put("[");
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) Put(style_.item_separator);
      NewLine(depth + 1);
      Write(items[i], depth + 1);
    }
    NewLine(depth);
    Put("]");
  }

  void Object(const Dict& dict, int depth) {
    if (dict.entries.empty()) return Put("{}");
    std::vector<Dict::Entry> entries = dict.entries;
    heap_.ChargeValues(2 * entries.size());
    if (style_.sort_keys) {
      std::stable_sort(entries.begin(), entries.end(), [this](const auto& a, const auto& b) {
        return Less(heap_, a.first, b.first);
      });
    }
    Put("{");
    for (size_t i = 0; i < entries.size(); ++i) {
      if (i > 0) Put(style_.item_separator);
      NewLine(depth + 1);
      Key(entries[i].first);
      Put(style_.key_separator);
      Write(entries[i].second, depth + 1);
    }
    NewLine(depth);
    Put("}");
  }

  void Key(const Value& key) {
    if (key.Is(Kind::kString)) return String(key.text());
    if (!key.IsNumber() && !key.Is(Kind::kNone)) {
      Refuse("keys must be str, int, float, bool or None, not {}", TypeName(key));
    }
    Put("\"");
    Write(key, 0);
    Put("\"");
  }

  void String(std::string_view text) {
    heap_.Charge(text.size() + 2);
    out_ += '"';
    for (size_t at = 0; at < text.size(); ++at) {
      const char c = text[at];
      static constexpr std::string_view kPlain = "\"\\\n\r\t\b\f", kLetters = "\"\\nrtbf";
      const auto byte = static_cast<unsigned char>(c);
      if (const size_t known = kPlain.find(c); known != kPlain.npos) {
        out_ += '\\';
        out_ += kLetters[known];
      } else if (byte < 0x20) {
        out_ += fmt::format("\\u{:04x}", byte);
      } else if (byte < 0x80 || !style_.ascii) {
        out_ += c;
      } else if ((byte & 0xC0) != 0x80) {
        Escape(Decode(text.substr(at, Utf8Width(c)))[0]);
      }
    }
    out_ += '"';
  }

  void Escape(char32_t code) {
    const auto value = static_cast<uint32_t>(code);
    if (value < 0x10000) {
      out_ += fmt::format("\\u{:04x}", value);
    } else {
      out_ += fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + ((value - 0x10000) >> 10),
                          0xDC00 + ((value - 0x10000) & 0x3FF));
    }
  }

  Heap& heap_;
  const JsonStyle& style_;
  std::string out_;
};

}  // namespace

void AppendStr(Heap& heap, const Value& value, std::string& out) {
  if (value.Is(Kind::kString)) return Add(heap, out, value.text());
  if (value.Is(Kind::kUndefined)) return;
  AppendRepr(heap, value, out);
}

void AppendRepr(Heap& heap, const Value& value, std::string& out, int depth) {
  heap.Step();
  if (depth > kMaxDepth) Refuse("a value to print is nested too deeply");
  switch (value.kind()) {
    case Kind::kUndefined:
      return Add(heap, out, "Undefined");
    case Kind::kNone:
      return Add(heap, out, "None");
    case Kind::kBool:
      return Add(heap, out, value.boolean() ? "True" : "False");
    case Kind::kInt:
      return Add(heap, out, IntText(value.integer()));
    case Kind::kFloat:
      return Add(heap, out, FloatText(value.real()));
    case Kind::kString: {
      const std::string quoted = QuotedRepr(value.text());
      return Add(heap, out, value.string().safe ? "Markup(" + quoted + ")" : quoted);
    }
    case Kind::kList:
      Add(heap, out, "[");
      AppendItems(heap, value.list().items, out, depth);
      return Add(heap, out, "]");
    case Kind::kTuple:
      Add(heap, out, "(");
      AppendItems(heap, value.list().items, out, depth);
      return Add(heap, out, value.list().items.size() == 1 ? ",)" : ")");
    case Kind::kSeries:
      return AppendSeries(heap, value.series(), out, depth);
    case Kind::kDict:
      return AppendDict(heap, value.dict(), out, depth);
    case Kind::kNamespace:
      Add(heap, out, "<Namespace ");
      AppendDict(heap, value.dict(), out, depth);
      return Add(heap, out, ">");
    case Kind::kLoop:
      return Add(heap, out, "<LoopContext>");
    case Kind::kCallable:
      return Add(heap, out, "<Macro '" + value.callable().name + "'>");
  }
}

std::string StrOf(Heap& heap, const Value& value) {
  std::string out;
  AppendStr(heap, value, out);
  return out;
}

std::string JsonOf(Heap& heap, const Value& value, const JsonStyle& style) {
  JsonWriter writer(heap, style);
  writer.Write(value, 0);
  return writer.Take();
}

}  // namespace quern::jinja
