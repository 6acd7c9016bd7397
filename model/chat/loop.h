#pragma once

#include <functional>
#include <vector>

#include "model/chat/value.h"

namespace quern::jinja {

// The variable `loop`, and the iteration itself: an item is filtered when it is its turn, or when
// something asks for what comes next.
struct Loop : Object {
  // Takes the next item, if there is one.
  bool Next();
  bool HasNext();
  // Items in all; filters those that are left.
  size_t Length();
  // loop.<name>; none where there is no such attribute.
  bool Attribute(Heap& heap, std::string_view name, Value& value);

  std::vector<Value> source;
  size_t at = 0;
  std::function<bool(const Value&)> keeps;  // of "for ... if"
  int64_t index0 = -1, depth0 = 0;
  Value current, before, after;
  bool has_after = false, has_length = false;
  size_t length = 0;
  std::vector<Value> last_changed;
  bool has_changed = false;
  NativeFunction again;  // of a recursive loop
};

inline Loop& Value::loop() const { return *static_cast<Loop*>(object_); }

}  // namespace quern::jinja
