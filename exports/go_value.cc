#include "exports/go_value.h"

#include <fmt/format.h>

namespace quern::go {
namespace {

[[noreturn]] void Refuse(std::string why) { throw Refusal{std::move(why)}; }

// Texts with texts, whole numbers with whole numbers, as Go's basicKind has it.
int Compare(std::string_view function, const Value& a, const Value& b) {
  if (a.kind != b.kind || (a.kind != Value::kText && a.kind != Value::kInt)) {
    Refuse(fmt::format("{}: incompatible types for comparison", function));
  }
  if (a.kind == Value::kText) return a.text.compare(b.text);
  return a.number < b.number ? -1 : a.number > b.number;
}

bool Equal(std::string_view function, const Value& a, const Value& b) {
  if (a.kind == Value::kBool && b.kind == Value::kBool) return a.number == b.number;
  return Compare(function, a, b) == 0;
}

size_t Length(const Value& value) {
  if (value.kind == Value::kText) return value.text.size();
  if (value.kind == Value::kMessages) return value.messages.size();
  Refuse("len: of a value that has no length");
}

size_t Place(std::string_view function, const Value& index, size_t limit) {
  if (index.kind != Value::kInt) Refuse(fmt::format("{}: an index is no number", function));
  if (index.number < 0 || static_cast<uint64_t>(index.number) > limit) {
    Refuse(fmt::format("{}: index out of range: {}", function, index.number));
  }
  return static_cast<size_t>(index.number);
}

Value Index(const std::vector<Value>& args) {
  const size_t length = Length(args[0]);
  if (length == 0) Refuse("index: out of range, there is nothing");
  const size_t at = Place("index", args[1], length - 1);
  if (args[0].kind == Value::kText) return Value::Int(static_cast<uint8_t>(args[0].text[at]));
  return {.kind = Value::kMessage, .message = &args[0].messages[at]};
}

Value Slice(const std::vector<Value>& args) {
  const size_t length = Length(args[0]);
  const size_t end = args.size() > 2 ? Place("slice", args[2], length) : length;
  const size_t begin = args.size() > 1 ? Place("slice", args[1], end) : 0;
  Value part = args[0];
  if (part.kind == Value::kText) {
    part.text = part.text.substr(begin, end - begin);
  } else {
    part.messages = part.messages.subspan(begin, end - begin);
  }
  return part;
}

}  // namespace

bool Truth(const Value& value) {
  switch (value.kind) {
    case Value::kMessages:
      return !value.messages.empty();
    case Value::kText:
      return !value.text.empty();
    case Value::kInt:
    case Value::kBool:
      return value.number != 0;
    default:
      return true;
  }
}

std::string Print(const Value& value) {
  switch (value.kind) {
    case Value::kText:
      return value.text;
    case Value::kInt:
      return fmt::format("{}", value.number);
    case Value::kBool:
      return value.number != 0 ? "true" : "false";
    default:
      Refuse("a list or a message is written as text");
  }
}

Value Call(std::string_view function, const std::vector<Value>& args) {
  const auto need = [&](size_t least, size_t most) {
    if (args.size() < least || args.size() > most) {
      Refuse(fmt::format("{}: {} arguments", function, args.size()));
    }
  };
  if (function == "not") {
    need(1, 1);
    return Value::Bool(!Truth(args[0]));
  }
  if (function == "len") {
    need(1, 1);
    return Value::Int(static_cast<int64_t>(Length(args[0])));
  }
  if (function == "index") {
    need(2, 2);
    return Index(args);
  }
  if (function == "slice") {
    need(1, 3);
    return Slice(args);
  }
  if (function == "eq") {
    need(2, 64);
    bool any = false;
    for (size_t i = 1; i < args.size(); ++i) any = any || Equal(function, args[0], args[i]);
    return Value::Bool(any);
  }
  need(2, 2);
  if (function == "ne") return Value::Bool(!Equal(function, args[0], args[1]));
  const int order = Compare(function, args[0], args[1]);
  if (function == "lt") return Value::Bool(order < 0);
  if (function == "le") return Value::Bool(order <= 0);
  if (function == "gt") return Value::Bool(order > 0);
  return Value::Bool(order >= 0);
}

}  // namespace quern::go
