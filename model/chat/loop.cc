#include "model/chat/loop.h"

#include "model/chat/heap.h"

namespace quern::jinja {

bool Loop::HasNext() {
  while (!has_after && at < source.size()) {
    const Value& item = source[at++];
    if (keeps && !keeps(item)) continue;
    after = item;
    has_after = true;
  }
  return has_after;
}

bool Loop::Next() {
  if (!HasNext()) return false;
  has_after = false;
  before = current;
  current = after;
  ++index0;
  return true;
}

size_t Loop::Length() {
  if (has_length) return length;
  if (keeps) {
    std::vector<Value> rest;
    for (; at < source.size(); ++at) {
      if (keeps(source[at])) rest.push_back(source[at]);
    }
    source = std::move(rest);
    at = 0;
    keeps = nullptr;
    length = source.size() + static_cast<size_t>(index0 + 1) + has_after;
  } else {
    length = source.size();
  }
  has_length = true;
  return length;
}

bool Loop::Attribute(Heap& heap, std::string_view name, Value& value) {
  const auto number = [&](int64_t is) {
    value = Value::Integer(is);
    return true;
  };
  if (name == "index") return number(index0 + 1);
  if (name == "index0") return number(index0);
  if (name == "length") return number(static_cast<int64_t>(Length()));
  if (name == "revindex") return number(static_cast<int64_t>(Length()) - index0);
  if (name == "revindex0") return number(static_cast<int64_t>(Length()) - index0 - 1);
  if (name == "depth") return number(depth0 + 1);
  if (name == "depth0") return number(depth0);
  if (name == "first") {
    value = Value::Bool(index0 == 0);
  } else if (name == "last") {
    value = Value::Bool(!HasNext());
  } else if (name == "previtem") {
    value = index0 == 0 ? heap.Undefined("there is no previous item") : before;
  } else if (name == "nextitem") {
    value = HasNext() ? after : heap.Undefined("there is no next item");
  } else if (name == "cycle") {
    value = heap.Function("cycle", [this](const Args& args) {
      if (args.at.empty()) Refuse("no items for cycling given");
      return args.at[static_cast<size_t>(index0) % args.at.size()];
    });
  } else if (name == "changed") {
    value = heap.Function("changed", [this, &heap](const Args& args) {
      bool same = has_changed && last_changed.size() == args.at.size();
      for (size_t i = 0; same && i < args.at.size(); ++i) {
        same = Equal(heap, last_changed[i], args.at[i]);
      }
      last_changed = args.at;
      has_changed = true;
      return Value::Bool(!same);
    });
  } else {
    return false;
  }
  return true;
}

}  // namespace quern::jinja
