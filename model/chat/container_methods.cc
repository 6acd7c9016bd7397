#include <algorithm>

#include "model/chat/bound.h"
#include "model/chat/machine.h"
#include "model/chat/methods.h"

// Methods of lists, tuples and dicts. Those that change them are here too, though transformers'
// sandbox refuses them: templates of the field call append() and pop().
namespace quern::jinja {
namespace {

Value Append(Machine& machine, const Value& self, const Args& args) {
  const Bound bound("append", args, {"object"}, 1);
  machine.heap().ChargeValues(2);
  self.list().items.push_back(bound.At(0));
  return Value::None();
}

Value Extend(Machine& machine, const Value& self, const Args& args) {
  const Bound bound("extend", args, {"iterable"}, 1);
  const std::vector<Value> more = Items(machine.heap(), bound.At(0));
  machine.heap().ChargeValues(2 * more.size());
  self.list().items.insert(self.list().items.end(), more.begin(), more.end());
  return Value::None();
}

// The place of an element, counted from the end where it is negative.
size_t PlaceOf(Int index, size_t size, std::string_view what) {
  if (index < 0) index += static_cast<Int>(size);
  if (index < 0 || index >= static_cast<Int>(size)) Refuse("{} index out of range", what);
  return static_cast<size_t>(index);
}

Value Insert(Machine& machine, const Value& self, const Args& args) {
  const Bound bound("insert", args, {"index", "object"}, 2);
  std::vector<Value>& items = self.list().items;
  const Int size = static_cast<Int>(items.size());
  Int at = bound.Integer(0);
  if (at < 0) at = std::max<Int>(at + size, 0);
  at = std::min(at, size);
  machine.heap().ChargeValues(2);
  machine.heap().Step(static_cast<int64_t>(items.size() / 16));
  items.insert(items.begin() + static_cast<ptrdiff_t>(at), bound.At(1));
  return Value::None();
}

Value PopItem(Machine& machine, const Value& self, const Args& args) {
  const Bound bound("pop", args, {"index"});
  std::vector<Value>& items = self.list().items;
  if (items.empty()) Refuse("pop from empty list");
  const size_t at = PlaceOf(bound.Integer(0, -1), items.size(), "pop");
  machine.heap().Step(static_cast<int64_t>((items.size() - at) / 16));
  const Value item = items[at];
  items.erase(items.begin() + static_cast<ptrdiff_t>(at));
  return item;
}

Value Remove(Machine& machine, const Value& self, const Args& args) {
  const Bound bound("remove", args, {"value"}, 1);
  std::vector<Value>& items = self.list().items;
  for (size_t i = 0; i < items.size(); ++i) {
    if (!Equal(machine.heap(), items[i], bound.At(0))) continue;
    items.erase(items.begin() + static_cast<ptrdiff_t>(i));
    return Value::None();
  }
  Refuse("list.remove(x): x not in list");
}

Value Reverse(Machine& machine, const Value& self, const Args& args) {
  const Bound bound("reverse", args, {});
  machine.heap().Step(static_cast<int64_t>(self.list().items.size() / 16));
  std::reverse(self.list().items.begin(), self.list().items.end());
  return Value::None();
}

Value ClearList(Machine&, const Value& self, const Args& args) {
  const Bound bound("clear", args, {});
  self.list().items.clear();
  return Value::None();
}

Value CopyList(Machine& machine, const Value& self, const Args& args) {
  const Bound bound("copy", args, {});
  machine.heap().ChargeValues(self.list().items.size());
  return machine.heap().ListOf(self.list().items);
}

Value CountItems(Machine& machine, const Value& self, const Args& args) {
  const Bound bound("count", args, {"value"}, 1);
  Int count = 0;
  for (const Value& item : self.list().items) count += Equal(machine.heap(), item, bound.At(0));
  return Value::Integer(count);
}

Value IndexOf(Machine& machine, const Value& self, const Args& args) {
  const Bound bound("index", args, {"value", "start", "stop"}, 1);
  const auto& items = self.list().items;
  const Int size = static_cast<Int>(items.size());
  Int from = bound.Integer(1, 0), to = bound.Integer(2, size);
  if (from < 0) from = std::max<Int>(from + size, 0);
  if (to < 0) to = std::max<Int>(to + size, 0);
  for (Int i = from; i < std::min(to, size); ++i) {
    if (Equal(machine.heap(), items[static_cast<size_t>(i)], bound.At(0))) return Value::Integer(i);
  }
  Refuse("the value is not in the list");
}

Value Get(Machine&, const Value& self, const Args& args) {
  const Bound bound("get", args, {"key", "default"}, 1);
  const Value* found = self.dict().Find(bound.At(0));
  return found != nullptr ? *found : bound.At(1);
}

enum class View { kKeys, kValues, kItems };

template <View view>
Value ViewOf(Machine& machine, const Value& self, const Args& args) {
  static constexpr const char* kNames[] = {"dict_keys", "dict_values", "dict_items"};
  const Bound bound(kNames[static_cast<size_t>(view)], args, {});
  Heap& heap = machine.heap();
  std::vector<Value> items;
  for (const auto& [key, value] : self.dict().entries) {
    items.push_back(view == View::kKeys     ? key
                    : view == View::kValues ? value
                                            : heap.TupleOf({key, value}));
  }
  return heap.SeriesOf(Series::kView, kNames[static_cast<size_t>(view)], std::move(items));
}

Value PopKey(Machine& machine, const Value& self, const Args& args) {
  const Bound bound("pop", args, {"key", "default"}, 1);
  const Value* found = self.dict().Find(bound.At(0));
  if (found == nullptr) {
    if (args.at.size() < 2) Refuse("pop(): the key is not there");
    return bound.At(1);
  }
  const Value value = *found;
  self.dict().Erase(machine.heap(), bound.At(0));
  return value;
}

Value SetDefault(Machine& machine, const Value& self, const Args& args) {
  const Bound bound("setdefault", args, {"key", "default"}, 1);
  const Value* found = self.dict().Find(bound.At(0));
  if (found != nullptr) return *found;
  self.dict().Set(machine.heap(), bound.At(0), bound.At(1));
  return bound.At(1);
}

Value Update(Machine& machine, const Value& self, const Args& args) {
  if (args.at.size() > 1) Refuse("update expected at most 1 argument, got {}", args.at.size());
  Heap& heap = machine.heap();
  if (!args.at.empty() && args.at[0].Is(Kind::kDict)) {
    const std::vector<Dict::Entry> entries = args.at[0].dict().entries;
    heap.ChargeValues(2 * entries.size());
    for (const auto& [key, value] : entries) self.dict().Set(heap, key, value);
  } else if (!args.at.empty()) {
    for (const Value& pair : Items(heap, args.at[0])) {
      const std::vector<Value> two = Items(heap, pair);
      if (two.size() != 2) Refuse("an item to update a dict with is no pair");
      self.dict().Set(heap, two[0], two[1]);
    }
  }
  for (const auto& [name, value] : args.named) self.dict().Set(heap, heap.Str(name), value);
  return Value::None();
}

Value CopyDict(Machine& machine, const Value& self, const Args& args) {
  const Bound bound("copy", args, {});
  Dict* const copy = machine.heap().New<Dict>();
  for (const auto& [key, value] : self.dict().entries) copy->Set(machine.heap(), key, value);
  return {Kind::kDict, copy};
}

Value PopLast(Machine& machine, const Value& self, const Args& args) {
  const Bound bound("popitem", args, {});
  if (self.dict().entries.empty()) Refuse("popitem(): dictionary is empty");
  const Dict::Entry entry = self.dict().entries.back();
  self.dict().Erase(machine.heap(), entry.first);
  return machine.heap().TupleOf({entry.first, entry.second});
}

Value ClearDict(Machine&, const Value& self, const Args& args) {
  const Bound bound("clear", args, {});
  self.dict().Clear();
  return Value::None();
}

}  // namespace

std::span<const MethodEntry> ListMethods() {
  static constexpr MethodEntry kMethods[] = {
      {"append", Append},    {"extend", Extend},   {"insert", Insert},   {"pop", PopItem},
      {"remove", Remove},    {"clear", ClearList}, {"reverse", Reverse}, {"copy", CopyList},
      {"count", CountItems}, {"index", IndexOf},
  };
  return kMethods;
}

std::span<const MethodEntry> TupleMethods() {
  static constexpr MethodEntry kMethods[] = {{"count", CountItems}, {"index", IndexOf}};
  return kMethods;
}

std::span<const MethodEntry> DictMethods() {
  static constexpr MethodEntry kMethods[] = {
      {"get", Get},
      {"items", ViewOf<View::kItems>},
      {"keys", ViewOf<View::kKeys>},
      {"values", ViewOf<View::kValues>},
      {"pop", PopKey},
      {"setdefault", SetDefault},
      {"update", Update},
      {"copy", CopyDict},
      {"popitem", PopLast},
      {"clear", ClearDict},
  };
  return kMethods;
}

}  // namespace quern::jinja
