#include "model/chat/bound.h"
#include "model/chat/filters.h"
#include "model/chat/machine.h"
#include "model/chat/methods.h"
#include "model/chat/sorting.h"

// Filters that pick values, or apply other filters and tests to each item.
namespace quern::jinja {
namespace {

Value Default(Machine& machine, const Value& value, const Args& args) {
  const Bound bound("default", args, {"default_value", "boolean"});
  if (!value.Is(Kind::kUndefined) && !(bound.Flag(1) && !Truth(value))) return value;
  const bool given = !args.at.empty() || !args.named.empty();
  if (args.at.empty() && !bound.Has(0) && (!given || args.named[0].first == "boolean")) {
    return machine.heap().Str("");
  }
  return bound.At(0);
}

Value Attr(Machine& machine, const Value& value, const Args& args) {
  const Bound bound("attr", args, {"name"}, 1);
  if (value.Is(Kind::kDict) && FindMethod(value, bound.Text(0)) == nullptr) {
    return machine.heap().Undefined("'dict object' has no attribute '" + bound.Text(0) + "'");
  }
  return machine.Attribute(value, bound.Text(0));
}

// The arguments behind the first `count`.
Args Rest(const Args& args, size_t count) {
  Args rest;
  rest.at.assign(args.at.begin() + static_cast<ptrdiff_t>(count), args.at.end());
  rest.named = args.named;
  return rest;
}

const std::string& NameAt(const Args& args, size_t index, std::string_view what) {
  if (!args.at[index].Is(Kind::kString)) {
    Refuse("the name of a {} must be a str, not {}", what, TypeName(args.at[index]));
  }
  return args.at[index].text();
}

Value Map(Machine& machine, const Value& value, const Args& args) {
  Heap& heap = machine.heap();
  std::vector<Value> out;
  if (Truth(value)) {
    bool by_attribute = false;
    for (const auto& named : args.named) by_attribute |= named.first == "attribute";
    if (args.at.empty() && !by_attribute) Refuse("map requires a filter argument");
    if (args.at.empty()) {
      const Bound bound("map", args, {"attribute", "default"});
      const std::vector<Value> path = PathOf(machine, bound.At(0));
      for (const Value& item : Items(heap, value)) {
        out.push_back(AtPathOr(machine, item, path, bound.At(1)));
      }
    } else {
      const std::string& name = NameAt(args, 0, "filter");
      const Args rest = Rest(args, 1);
      for (const Value& item : Items(heap, value)) out.push_back(machine.Filter(name, item, rest));
    }
  }
  return heap.SeriesOf(Series::kGenerator, "<generator object sync_do_map>", std::move(out));
}

template <bool selects, bool by_attribute>
Value Select(Machine& machine, const Value& value, const Args& args) {
  Heap& heap = machine.heap();
  std::vector<Value> out;
  if (Truth(value)) {
    static constexpr size_t kOffset = by_attribute ? 1 : 0;
    if (by_attribute && args.at.empty()) Refuse("Missing parameter for attribute name");
    const std::vector<Value> path =
        by_attribute ? PathOf(machine, args.at[0]) : std::vector<Value>();
    const bool has_test = args.at.size() > kOffset;
    const Args rest = has_test ? Rest(args, kOffset + 1) : Args();
    for (const Value& item : Items(heap, value)) {
      const Value tested = AtPath(machine, item, path);
      const bool passes =
          has_test ? machine.Test(NameAt(args, kOffset, "test"), tested, rest) : Truth(tested);
      if (passes == selects) out.push_back(item);
    }
  }
  return heap.SeriesOf(Series::kGenerator, "<generator object select_or_reject>", std::move(out));
}

}  // namespace

std::span<const FilterEntry> SelectionFilters() {
  static constexpr FilterEntry kFilters[] = {
      {"default", Default},
      {"d", Default},
      {"attr", Attr},
      {"map", Map},
      {"select", Select<true, false>},
      {"reject", Select<false, false>},
      {"selectattr", Select<true, true>},
      {"rejectattr", Select<false, true>},
  };
  return kFilters;
}

}  // namespace quern::jinja
