#pragma once

#include <string>
#include <vector>

#include "model/chat/value.h"

// How filters read and compare attributes of items.
namespace quern::jinja {

class Machine;

// "a.b.0" as the keys that lead to an attribute; none for None.
std::vector<Value> PathOf(Machine& machine, const Value& attribute);
Value AtPath(Machine& machine, Value item, const std::vector<Value>& path);
// The same, with a default (if not none) for what is undefined on the way.
Value AtPathOr(Machine& machine, Value item, const std::vector<Value>& path,
               const Value& otherwise);
// Text in lower case unless `case_sensitive`, other values as they are.
Value FoldCase(Machine& machine, const Value& value, bool case_sensitive);

struct Keyed {
  std::vector<Value> keys;
  Value value;
};
// Sorts by the keys, stably, also in reverse.
void SortByKeys(Machine& machine, std::vector<Keyed>& items, bool reverse);

}  // namespace quern::jinja
