#include "model/chat/sorting.h"

#include <algorithm>

#include "model/chat/machine.h"
#include "model/chat/numbers.h"
#include "model/chat/unicode_text.h"

namespace quern::jinja {

std::vector<Value> PathOf(Machine& machine, const Value& attribute) {
  if (attribute.Is(Kind::kNone)) return {};
  if (!attribute.Is(Kind::kString)) return {attribute};
  std::vector<Value> path;
  const std::string& text = attribute.text();
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find('.', at), text.size());
    const std::string part = text.substr(at, end - at);
    const bool digits = !part.empty() && part.find_first_not_of("0123456789") == part.npos;
    const auto number = digits ? ParseInt(part, 10) : std::nullopt;
    path.push_back(number ? Value::Integer(*number) : machine.heap().Str(part));
    at = end + 1;
  }
  return path;
}

Value AtPath(Machine& machine, Value item, const std::vector<Value>& path) {
  for (const Value& key : path) item = machine.Item(item, key);
  return item;
}

Value AtPathOr(Machine& machine, Value item, const std::vector<Value>& path,
               const Value& otherwise) {
  for (const Value& key : path) {
    item = machine.Item(item, key);
    if (item.Is(Kind::kUndefined) && !otherwise.Is(Kind::kNone)) item = otherwise;
  }
  return item;
}

Value FoldCase(Machine& machine, const Value& value, bool case_sensitive) {
  if (case_sensitive || !value.Is(Kind::kString)) return value;
  machine.heap().Charge(value.text().size() * 2);
  return machine.heap().Str(Lower(value.text()));
}

void SortByKeys(Machine& machine, std::vector<Keyed>& items, bool reverse) {
  Heap& heap = machine.heap();
  if (reverse) std::reverse(items.begin(), items.end());
  std::stable_sort(items.begin(), items.end(), [&](const Keyed& a, const Keyed& b) {
    for (size_t i = 0; i < a.keys.size(); ++i) {
      if (!Equal(heap, a.keys[i], b.keys[i])) return Less(heap, a.keys[i], b.keys[i]);
    }
    return false;
  });
  if (reverse) std::reverse(items.begin(), items.end());
}

}  // namespace quern::jinja
