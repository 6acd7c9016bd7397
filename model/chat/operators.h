#pragma once

#include <string_view>

#include "model/chat/value.h"

namespace quern::jinja {

// a op b for + - * / // % **, on numbers, text and lists.
Value Binary(Heap& heap, std::string_view op, const Value& a, const Value& b);
// a op b for == != < <= > >=, in, not in.
bool Compared(Heap& heap, std::string_view op, const Value& a, const Value& b);
// value[start:stop:step]; none of the three need be there (None).
Value Sliced(Heap& heap, const Value& value, const Value& start, const Value& stop,
             const Value& step);

}  // namespace quern::jinja
