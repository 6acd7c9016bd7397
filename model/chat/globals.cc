#include "model/chat/globals.h"

#include <ctime>

#include "model/chat/bound.h"
#include "model/chat/methods.h"
#include "model/chat/text_of.h"

namespace quern::jinja {
namespace {

// As jinja2's sandbox has it.
constexpr Int kMaxRange = 100000;

Value Range(Heap& heap, const Args& args) {
  if (!args.named.empty() || args.at.empty() || args.at.size() > 3) {
    Refuse("range expected 1 to 3 arguments, got {}", args.at.size());
  }
  Int bounds[3] = {0, 0, 1};
  for (size_t i = 0; i < args.at.size(); ++i) {
    if (args.at[i].Is(Kind::kUndefined)) Refuse("{}", args.at[i].text());
    if (!args.at[i].IsInt()) {
      Refuse("'{}' object cannot be interpreted as an integer", TypeName(args.at[i]));
    }
    bounds[i] = args.at[i].integer();
    if (bounds[i] > (Int{1} << 62) || bounds[i] < -(Int{1} << 62)) Refuse("Range too big");
  }
  if (args.at.size() == 1) std::swap(bounds[0], bounds[1]);
  const auto [start, stop, step] = bounds;
  if (step == 0) Refuse("range() arg 3 must not be zero");
  const Int span = step > 0 ? stop - start : start - stop, by = step > 0 ? step : -step;
  const Int count = span > 0 ? (span + by - 1) / by : 0;
  if (count > kMaxRange) Refuse("Range too big. The sandbox blocks ranges larger than 100000.");
  std::vector<Value> items;
  heap.ChargeValues(static_cast<uint64_t>(count));
  for (Int i = 0; i < count; ++i) items.push_back(Value::Integer(start + i * step));
  std::string shown;
  for (const Int bound : {start, stop}) {
    shown += (shown.empty() ? "range(" : ", ");
    AppendRepr(heap, Value::Integer(bound), shown);
  }
  if (step != 1) {
    shown += ", ";
    AppendRepr(heap, Value::Integer(step), shown);
  }
  return heap.SeriesOf(Series::kRange, shown + ")", std::move(items));
}

// dict(...) and namespace(...).
Value DictOf(Machine& machine, Kind kind, const Args& args) {
  const Value made(Kind::kDict, machine.heap().New<Dict>());
  CallMethod(machine, FindMethod(made, "update"), made, args);
  return kind == Kind::kDict ? made : Value(kind, &made.dict());
}

// cycler(...): next(), reset() and current. It is a namespace whose functions keep its state.
Value Cycler(Heap& heap, const Args& args) {
  if (args.at.empty()) Refuse("at least one item has to be provided");
  Dict* const cycler = heap.New<Dict>();
  const Value items = heap.TupleOf(args.at);
  const Value current = heap.Str("current"), place = heap.Str("pos");
  const auto move = [&heap, cycler, items, current, place](size_t to) {
    cycler->Set(heap, place, Value::Integer(static_cast<Int>(to)));
    cycler->Set(heap, current, items.list().items[to]);
  };
  move(0);
  cycler->Set(heap, heap.Str("next"), heap.Function("next", [=](const Args&) {
    const Value now = *cycler->Find(current);
    const auto at = static_cast<size_t>(cycler->Find(place)->integer());
    move((at + 1) % items.list().items.size());
    return now;
  }));
  cycler->Set(heap, heap.Str("reset"), heap.Function("reset", [=](const Args&) {
    move(0);
    return Value::None();
  }));
  return {Kind::kNamespace, cycler};
}

// joiner(sep): "" at the first call, then the separator.
Value Joiner(Heap& heap, const Args& args) {
  const Bound bound("joiner", args, {"sep"});
  const Value separator = bound.Has(0) ? bound.At(0) : heap.Str(", ");
  const Value used = heap.ListOf({});
  return heap.Function("joiner", [&heap, separator, used](const Args&) {
    if (!used.list().items.empty()) return separator;
    used.list().items.push_back(Value::Bool(true));
    return heap.Str("");
  });
}

Value Now(Heap& heap, const ChatTemplateOptions& options, const Args& args) {
  const Bound bound("strftime_now", args, {"format"}, 1);
  if (options.now) return heap.Str(*options.now);
  const std::string& format = bound.Text(0);
  if (format.size() > 1000) Refuse("strftime_now: the format is too long");
  const std::time_t time = options.clock.value_or(std::time(nullptr));
  std::tm local = {};
  localtime_r(&time, &local);
  // A letter more, since the result of an empty format could not be told from a failure.
  std::string text(format.size() * 64 + 64, '\0');
  text.resize(std::strftime(text.data(), text.size(), (format + "x").c_str(), &local));
  const std::string last = [&local] {
    char day[64];
    return std::string(day, std::strftime(day, sizeof(day), "%x", &local));
  }();
  if (format.ends_with('%') && text.ends_with(last)) text.resize(text.size() - last.size());
  if (!text.empty() && !format.ends_with('%')) text.pop_back();
  return heap.Str(std::move(text));
}

}  // namespace

Dict& MakeGlobals(Machine& machine, const ChatTemplateOptions& options) {
  Heap& heap = machine.heap();
  Dict& globals = *heap.New<Dict>();
  const auto add = [&](const char* name, NativeFunction function) {
    globals.Set(heap, heap.Str(name), heap.Function(name, std::move(function)));
  };
  add("range", [&heap](const Args& args) { return Range(heap, args); });
  add("dict", [&machine](const Args& args) { return DictOf(machine, Kind::kDict, args); });
  add("namespace",
      [&machine](const Args& args) { return DictOf(machine, Kind::kNamespace, args); });
  add("cycler", [&heap](const Args& args) { return Cycler(heap, args); });
  add("joiner", [&heap](const Args& args) { return Joiner(heap, args); });
  add("raise_exception", [&heap](const Args& args) -> Value {
    const Bound bound("raise_exception", args, {"message"}, 1);
    Refuse("{}", StrOf(heap, bound.At(0)));
  });
  add("strftime_now", [&heap, options](const Args& args) { return Now(heap, options, args); });
  return globals;
}

}  // namespace quern::jinja
