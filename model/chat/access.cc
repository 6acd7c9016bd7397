#include <algorithm>

#include "base/html.h"
#include "model/chat/machine.h"
#include "model/chat/methods.h"
#include "model/chat/text_of.h"
#include "model/chat/unicode_text.h"

namespace quern::jinja {
namespace {

Method FindIn(std::span<const MethodEntry> methods, std::string_view name) {
  for (const auto& [known, method] : methods) {
    if (known == name) return method;
  }
  return nullptr;
}

Value Safe(Heap& heap, const Value& value) {
  if (value.Is(Kind::kString)) return heap.Str(value.text(), true);
  if (!value.Is(Kind::kList) && !value.Is(Kind::kTuple)) return value;
  for (Value& item : value.list().items) item = Safe(heap, item);
  return value;
}

// The object of list, tuple, range or text at `index`, if there is one.
bool AtIndex(Heap& heap, const Value& value, Int index, Value& item) {
  const bool listed =
      value.IsListed() && (!value.Is(Kind::kSeries) || value.series().form == Series::kRange);
  if (!listed && !value.Is(Kind::kString)) return false;
  const Int length = static_cast<Int>(Length(value));
  if (index < 0) index += length;
  if (index < 0 || index >= length) return false;
  const auto at = static_cast<size_t>(index);
  if (listed) {
    item = value.list().items[at];
    return true;
  }
  const std::string& text = value.text();
  heap.Step(static_cast<int64_t>(at / 64));
  const size_t start = ByteOf(text, at);
  item = heap.Str(text.substr(start, Utf8Width(text[start])), value.string().safe);
  return true;
}

// What Python's getattr gives, which is looked for before an item where a template says value.name.
bool NativeAttribute(Machine& machine, const Value& value, const std::string& name, Value& result) {
  Heap& heap = machine.heap();
  if (const Method method = FindMethod(value, name)) {
    result = heap.Function(name, [&machine, value, method](const Args& args) {
      return CallMethod(machine, method, value, args);
    });
    return true;
  }
  if (value.Is(Kind::kLoop)) return value.loop().Attribute(heap, name, result);
  if (value.Is(Kind::kNamespace)) {
    const Value* found = value.dict().Find(std::string_view(name));
    if (found != nullptr) result = *found;
    return found != nullptr;
  }
  if (value.Is(Kind::kCallable) && name == "name") {
    result = heap.Str(value.callable().name);
    return true;
  }
  return false;
}

}  // namespace

Method FindMethod(const Value& value, std::string_view name) {
  switch (value.kind()) {
    case Kind::kString: {
      const Method method = FindIn(TextMethods(), name);
      return method != nullptr ? method : FindIn(SearchMethods(), name);
    }
    case Kind::kList:
      return FindIn(ListMethods(), name);
    case Kind::kTuple:
      return FindIn(TupleMethods(), name);
    case Kind::kDict:
      return FindIn(DictMethods(), name);
    default:
      return nullptr;
  }
}

Value CallMethod(Machine& machine, Method method, const Value& self, const Args& args) {
  if (!self.Is(Kind::kString) || !self.string().safe) return method(machine, self, args);
  Args escaped = args;
  for (Value& value : escaped.at) {
    const bool plain = value.Is(Kind::kString) && !value.string().safe;
    if (plain) value = machine.heap().Str(EscapeHtml(value.text()), true);
  }
  return Safe(machine.heap(), method(machine, self, escaped));
}

Value Machine::Attribute(const Value& value, const std::string& name) {
  if (value.Is(Kind::kUndefined)) Refuse("{}", value.text());
  Value result;
  if (NativeAttribute(*this, value, name, result)) return result;
  if (value.Is(Kind::kDict)) {
    const Value* found = value.dict().Find(std::string_view(name));
    if (found != nullptr) return *found;
  }
  return heap_.Undefined(fmt::format("'{} object' has no attribute '{}'", TypeName(value), name));
}

Value Machine::Item(const Value& value, const Value& key) {
  if (value.Is(Kind::kUndefined)) Refuse("{}", value.text());
  Value result;
  if (value.Is(Kind::kDict)) {
    // What cannot be a key is not there, as an attribute that fails is not.
    const bool hashable = !key.Is(Kind::kList) && !key.Is(Kind::kDict);
    const Value* found = hashable ? value.dict().Find(key) : nullptr;
    if (found != nullptr) return *found;
  } else if (key.IsInt() && AtIndex(heap_, value, key.integer(), result)) {
    return result;
  }
  if (key.Is(Kind::kString) && NativeAttribute(*this, value, key.text(), result)) return result;
  std::string shown;
  AppendRepr(heap_, key, shown);
  return heap_.Undefined(fmt::format("'{} object' has no element {}", TypeName(value), shown));
}

Value Machine::Call(const Value& function, const Args& args) {
  const Deeper deeper(*this);
  heap_.Step();
  switch (function.kind()) {
    case Kind::kCallable:
      return function.callable().call(args);
    case Kind::kLoop:
      if (!function.loop().again) Refuse("the loop must be 'recursive' to be called");
      return function.loop().again(args);
    case Kind::kUndefined:
      Refuse("{}", function.text());
    default:
      Refuse("'{}' object is not callable", TypeName(function));
  }
}

}  // namespace quern::jinja
