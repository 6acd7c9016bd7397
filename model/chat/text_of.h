#pragma once

#include <string>

#include "model/chat/value.h"

namespace quern::jinja {

// str() and repr() of Python; each piece is charged to the heap before it is appended.
void AppendStr(Heap& heap, const Value& value, std::string& out);
void AppendRepr(Heap& heap, const Value& value, std::string& out, int depth = 0);
std::string StrOf(Heap& heap, const Value& value);

// json.dumps() with transformers' options.
struct JsonStyle {
  bool ascii = false, sort_keys = false, has_indent = false;
  std::string indent;  // of each level, where has_indent
  std::string item_separator = ", ", key_separator = ": ";
};
std::string JsonOf(Heap& heap, const Value& value, const JsonStyle& style);

}  // namespace quern::jinja
