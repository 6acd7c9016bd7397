#include <algorithm>
#include <set>

#include "model/chat/bound.h"
#include "model/chat/filters.h"
#include "model/chat/machine.h"
#include "model/chat/operators.h"
#include "model/chat/sorting.h"
#include "model/chat/text_of.h"
#include "model/chat/unicode_text.h"

namespace quern::jinja {
namespace {

Value Generator(Machine& machine, const char* name, std::vector<Value> items) {
  return machine.heap().SeriesOf(Series::kGenerator, fmt::format("<generator object {}>", name),
                                 std::move(items));
}

Value LengthFilter(Machine&, const Value& value, const Args& args) {
  const Bound bound("length", args, {});
  return Value::Integer(static_cast<Int>(Length(value)));
}

Value First(Machine& machine, const Value& value, const Args& args) {
  const Bound bound("first", args, {});
  if (value.Is(Kind::kSeries) && value.series().form == Series::kGenerator) {
    Series& series = value.series();
    if (series.taken < series.items.size()) return series.items[series.taken++];
  } else {
    const std::vector<Value> items = Items(machine.heap(), value);
    if (!items.empty()) return items[0];
  }
  return machine.heap().Undefined("No first item, sequence was empty.");
}

Value Last(Machine& machine, const Value& value, const Args& args) {
  const Bound bound("last", args, {});
  if (value.Is(Kind::kSeries) && value.series().form == Series::kGenerator) {
    Refuse("'generator' object is not reversible");
  }
  const std::vector<Value> items = Items(machine.heap(), value);
  if (!items.empty()) return items.back();
  return machine.heap().Undefined("No last item, sequence was empty.");
}

Value ListFilter(Machine& machine, const Value& value, const Args& args) {
  const Bound bound("list", args, {});
  return machine.heap().ListOf(Items(machine.heap(), value));
}

Value Join(Machine& machine, const Value& value, const Args& args) {
  const Bound bound("join", args, {"d", "attribute"});
  Heap& heap = machine.heap();
  const std::vector<Value> path = PathOf(machine, bound.At(1));
  const std::string between = args.at.empty() && !bound.Has(0) ? "" : StrOf(heap, bound.At(0));
  std::string out;
  bool is_first = true;
  for (const Value& item : Items(heap, value)) {
    heap.Charge(between.size());
    if (!is_first) out += between;
    is_first = false;
    AppendStr(heap, AtPath(machine, item, path), out);
  }
  return heap.Str(std::move(out));
}

Value Sort(Machine& machine, const Value& value, const Args& args) {
  const Bound bound("sort", args, {"reverse", "case_sensitive", "attribute"});
  Heap& heap = machine.heap();
  std::vector<std::vector<Value>> paths;
  if (bound.At(2).Is(Kind::kString)) {
    const std::string& attributes = bound.Text(2);
    for (size_t at = 0; at <= attributes.size();) {
      const size_t end = std::min(attributes.find(',', at), attributes.size());
      paths.push_back(PathOf(machine, heap.Str(attributes.substr(at, end - at))));
      at = end + 1;
    }
  } else {
    paths.push_back(PathOf(machine, bound.At(2)));
  }
  std::vector<Keyed> items;
  for (const Value& item : Items(heap, value)) {
    Keyed keyed{{}, item};
    heap.ChargeValues(paths.size() + 1);
    for (const auto& path : paths) {
      keyed.keys.push_back(FoldCase(machine, AtPath(machine, item, path), bound.Flag(1)));
    }
    items.push_back(std::move(keyed));
  }
  SortByKeys(machine, items, bound.Flag(0));
  std::vector<Value> sorted;
  for (const Keyed& item : items) sorted.push_back(item.value);
  return heap.ListOf(std::move(sorted));
}

Value DictSort(Machine& machine, const Value& value, const Args& args) {
  const Bound bound("dictsort", args, {"case_sensitive", "by", "reverse"});
  const std::string by = bound.Has(1) ? bound.Text(1) : "key";
  if (by != "key" && by != "value") Refuse("You can only sort by either \"key\" or \"value\"");
  if (value.Is(Kind::kUndefined)) Refuse("{}", value.text());
  if (!value.Is(Kind::kDict)) Refuse("'{}' object has no attribute 'items'", TypeName(value));
  std::vector<Keyed> items;
  for (const auto& [key, one] : value.dict().entries) {
    items.push_back({{FoldCase(machine, by == "key" ? key : one, bound.Flag(0))},
                     machine.heap().TupleOf({key, one})});
  }
  SortByKeys(machine, items, bound.Flag(2));
  std::vector<Value> sorted;
  for (const Keyed& item : items) sorted.push_back(item.value);
  return machine.heap().ListOf(std::move(sorted));
}

Value Unique(Machine& machine, const Value& value, const Args& args) {
  const Bound bound("unique", args, {"case_sensitive", "attribute"});
  const std::vector<Value> path = PathOf(machine, bound.At(1));
  Dict* const seen = machine.heap().New<Dict>();
  std::vector<Value> kept;
  for (const Value& item : Items(machine.heap(), value)) {
    const Value key = FoldCase(machine, AtPath(machine, item, path), bound.Flag(0));
    if (seen->Find(key) != nullptr) continue;
    seen->Set(machine.heap(), key, item);
    kept.push_back(item);
  }
  return Generator(machine, "do_unique", std::move(kept));
}

Value Reverse(Machine& machine, const Value& value, const Args& args) {
  const Bound bound("reverse", args, {});
  if (value.Is(Kind::kString)) {
    machine.heap().Charge(value.text().size() * sizeof(char32_t));
    std::u32string codes = Decode(value.text());
    std::reverse(codes.begin(), codes.end());
    return machine.heap().Str(Encode(codes), value.string().safe);
  }
  std::vector<Value> items = Items(machine.heap(), value);
  std::reverse(items.begin(), items.end());
  if (value.Is(Kind::kSeries) && value.series().form == Series::kGenerator) {
    return machine.heap().ListOf(std::move(items));
  }
  return Generator(machine, "reversed", std::move(items));
}

Value Batch(Machine& machine, const Value& value, const Args& args) {
  const Bound bound("batch", args, {"linecount", "fill_with"}, 1);
  Heap& heap = machine.heap();
  const Int size = bound.Integer(0);
  std::vector<Value> lines, line;
  for (const Value& item : Items(heap, value)) {
    if (static_cast<Int>(line.size()) == size)
      lines.push_back(heap.ListOf(std::move(line))), line = {};
    line.push_back(item);
  }
  if (!line.empty()) {
    const Int lacks = std::max<Int>(size - static_cast<Int>(line.size()), 0);
    if (bound.Has(1)) {
      if (lacks > (Int{1} << 32)) Refuse("the template uses too much memory");
      heap.ChargeValues(static_cast<uint64_t>(lacks));
      line.insert(line.end(), static_cast<size_t>(lacks), bound.At(1));
    }
    lines.push_back(heap.ListOf(std::move(line)));
  }
  return Generator(machine, "do_batch", std::move(lines));
}

Value SliceFilter(Machine& machine, const Value& value, const Args& args) {
  const Bound bound("slice", args, {"slices", "fill_with"}, 1);
  Heap& heap = machine.heap();
  const std::vector<Value> items = Items(heap, value);
  const Int slices = bound.Integer(0);
  if (slices == 0) Refuse("integer division or modulo by zero");
  if (slices > (Int{1} << 32)) Refuse("the template uses too much memory");
  const Int size = static_cast<Int>(items.size());
  std::vector<Value> out;
  Int start = 0;
  for (Int i = 0; i < slices; ++i) {
    heap.Step();
    const bool longer = i < size % slices;
    const Int end = start + size / slices + (longer ? 1 : 0);
    std::vector<Value> part(items.begin() + static_cast<ptrdiff_t>(start),
                            items.begin() + static_cast<ptrdiff_t>(end));
    if (bound.Has(1) && !longer) part.push_back(bound.At(1));
    out.push_back(heap.ListOf(std::move(part)));
    start = end;
  }
  return Generator(machine, "do_slice", std::move(out));
}

Value ItemsFilter(Machine& machine, const Value& value, const Args& args) {
  const Bound bound("items", args, {});
  std::vector<Value> items;
  if (!value.Is(Kind::kUndefined)) {
    if (!value.Is(Kind::kDict)) Refuse("Can only get item pairs from a mapping.");
    for (const auto& [key, one] : value.dict().entries) {
      items.push_back(machine.heap().TupleOf({key, one}));
    }
  }
  return Generator(machine, "do_items", std::move(items));
}

Value GroupBy(Machine& machine, const Value& value, const Args& args) {
  const Bound bound("groupby", args, {"attribute", "default", "case_sensitive"}, 1);
  Heap& heap = machine.heap();
  const std::vector<Value> path = PathOf(machine, bound.At(0));
  std::vector<Keyed> items;
  for (const Value& item : Items(heap, value)) {
    const Value key = AtPathOr(machine, item, path, bound.At(1));
    items.push_back({{FoldCase(machine, key, bound.Flag(2))}, item});
  }
  SortByKeys(machine, items, false);
  std::vector<Value> groups;
  for (size_t i = 0; i < items.size();) {
    const Value key = AtPathOr(machine, items[i].value, path, bound.At(1));
    std::vector<Value> group;
    const size_t first = i;
    for (; i < items.size() && Equal(heap, items[i].keys[0], items[first].keys[0]); ++i) {
      group.push_back(items[i].value);
    }
    if (group.empty()) group.push_back(items[i++].value);  // NaN, unequal to itself
    groups.push_back(heap.TupleOf({key, heap.ListOf(std::move(group))}));
  }
  return heap.ListOf(std::move(groups));
}

template <bool greatest>
Value Extreme(Machine& machine, const Value& value, const Args& args) {
  const Bound bound(greatest ? "max" : "min", args, {"case_sensitive", "attribute"});
  Heap& heap = machine.heap();
  const std::vector<Value> path = PathOf(machine, bound.At(1));
  const std::vector<Value> items = Items(heap, value);
  if (items.empty()) return heap.Undefined("No aggregated item, sequence was empty.");
  Value best = items[0];
  Value best_key = FoldCase(machine, AtPath(machine, best, path), bound.Flag(0));
  for (size_t i = 1; i < items.size(); ++i) {
    const Value key = FoldCase(machine, AtPath(machine, items[i], path), bound.Flag(0));
    if (greatest ? Less(heap, best_key, key) : Less(heap, key, best_key)) {
      best = items[i];
      best_key = key;
    }
  }
  return best;
}

Value Sum(Machine& machine, const Value& value, const Args& args) {
  const Bound bound("sum", args, {"attribute", "start"});
  const std::vector<Value> path = PathOf(machine, bound.At(0));
  Value total = args.at.size() > 1 || bound.Has(1) ? bound.At(1) : Value::Integer(0);
  if (total.Is(Kind::kString)) Refuse("sum() can't sum strings");
  for (const Value& item : Items(machine.heap(), value)) {
    total = Binary(machine.heap(), "+", total, AtPath(machine, item, path));
  }
  return total;
}

}  // namespace

std::span<const FilterEntry> SequenceFilters() {
  static constexpr FilterEntry kFilters[] = {
      {"length", LengthFilter},
      {"count", LengthFilter},
      {"first", First},
      {"last", Last},
      {"list", ListFilter},
      {"join", Join},
      {"sort", Sort},
      {"dictsort", DictSort},
      {"unique", Unique},
      {"reverse", Reverse},
      {"batch", Batch},
      {"slice", SliceFilter},
      {"items", ItemsFilter},
      {"groupby", GroupBy},
      {"min", Extreme<false>},
      {"max", Extreme<true>},
      {"sum", Sum},
  };
  return kFilters;
}

}  // namespace quern::jinja
