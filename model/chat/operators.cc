#include "model/chat/operators.h"

#include <algorithm>

#include "base/html.h"
#include "model/chat/heap.h"
#include "model/chat/numbers.h"
#include "model/chat/percent_format.h"
#include "model/chat/text_of.h"
#include "model/chat/unicode_text.h"

namespace quern::jinja {
namespace {

[[noreturn]] void BadOperands(std::string_view op, const Value& a, const Value& b) {
  Refuse("unsupported operand type(s) for {}: '{}' and '{}'", op, TypeName(a), TypeName(b));
}

Value AddText(Heap& heap, const Text& a, const Text& b) {
  heap.Charge(a.bytes.size() + b.bytes.size());
  if (a.safe == b.safe) return heap.Str(a.bytes + b.bytes, a.safe);
  return heap.Str(a.safe ? a.bytes + EscapeHtml(b.bytes) : EscapeHtml(a.bytes) + b.bytes, true);
}

Value Repeated(Heap& heap, const Value& value, Int times) {
  const Int count = std::max<Int>(times, 0);
  if (count > (Int{1} << 40)) Refuse("the template uses too much memory");
  const auto n = static_cast<uint64_t>(count);
  if (value.Is(Kind::kString)) {
    const std::string& text = value.text();
    if (!text.empty()) heap.Charge(n > (uint64_t{1} << 40) / text.size() ? n : n * text.size());
    std::string out;
    for (uint64_t i = 0; !text.empty() && i < n; ++i) out += text;
    return heap.Str(std::move(out), value.string().safe);
  }
  const std::vector<Value>& items = value.list().items;
  std::vector<Value> out;
  if (!items.empty()) {
    heap.ChargeValues(n > (uint64_t{1} << 32) ? n : n * items.size());
    for (uint64_t i = 0; i < n; ++i) out.insert(out.end(), items.begin(), items.end());
  }
  return value.Is(Kind::kList) ? heap.ListOf(std::move(out)) : heap.TupleOf(std::move(out));
}

bool IsRepeatable(const Value& value) {
  return value.Is(Kind::kString) || value.Is(Kind::kList) || value.Is(Kind::kTuple);
}

// A bound of a slice, moved into the range 0..length (for steps back -1..length-1).
Int Bound(const Value& bound, Int length, bool back, Int otherwise) {
  if (bound.Is(Kind::kNone)) return otherwise;
  if (!bound.IsInt()) Refuse("slice indices must be integers or None");
  const Int at = bound.integer() < 0 ? bound.integer() + length : bound.integer();
  return std::clamp<Int>(at, back ? -1 : 0, back ? length - 1 : length);
}

}  // namespace

Value Binary(Heap& heap, std::string_view op, const Value& a, const Value& b) {
  for (const Value* value : {&a, &b}) {
    if (value->Is(Kind::kUndefined)) Refuse("{}", value->text());
  }
  if (a.IsNumber() && b.IsNumber()) return Arithmetic(op, a, b);
  if (op == "+" && a.kind() == b.kind()) {
    if (a.Is(Kind::kString)) return AddText(heap, a.string(), b.string());
    if (a.Is(Kind::kList) || a.Is(Kind::kTuple)) {
      heap.ChargeValues(a.list().items.size() + b.list().items.size());
      std::vector<Value> items = a.list().items;
      items.insert(items.end(), b.list().items.begin(), b.list().items.end());
      return a.Is(Kind::kList) ? heap.ListOf(std::move(items)) : heap.TupleOf(std::move(items));
    }
  }
  if (op == "*" && IsRepeatable(a) && b.IsInt()) return Repeated(heap, a, b.integer());
  if (op == "*" && IsRepeatable(b) && a.IsInt()) return Repeated(heap, b, a.integer());
  if (op == "%" && a.Is(Kind::kString)) return heap.Str(PercentFormat(heap, a.text(), b));
  BadOperands(op, a, b);
}

bool Compared(Heap& heap, std::string_view op, const Value& a, const Value& b) {
  if (op == "==") return Equal(heap, a, b);
  if (op == "!=") return !Equal(heap, a, b);
  if (op == "in") return Contains(heap, b, a);
  if (op == "not in") return !Contains(heap, b, a);
  if (op == "<") return Less(heap, a, b);
  if (op == ">") return Less(heap, b, a);
  // Not the opposite of > and <, for the sake of NaN.
  if (op == "<=") return Less(heap, a, b) || Equal(heap, a, b);
  return Less(heap, b, a) || Equal(heap, a, b);
}

Value Sliced(Heap& heap, const Value& value, const Value& start, const Value& stop,
             const Value& step) {
  if (value.Is(Kind::kUndefined)) Refuse("{}", value.text());
  const bool sized =
      value.IsListed() && (!value.Is(Kind::kSeries) || value.series().form == Series::kRange);
  if (!sized && !value.Is(Kind::kString)) {
    Refuse("'{}' object is not subscriptable by a slice", TypeName(value));
  }
  if (!step.Is(Kind::kNone) && !step.IsInt()) Refuse("slice indices must be integers or None");
  const Int by = step.Is(Kind::kNone) ? 1 : step.integer();
  if (by == 0) Refuse("slice step cannot be zero");
  const Int length = static_cast<Int>(Length(value));
  const Int first = Bound(start, length, by < 0, by < 0 ? length - 1 : 0);
  const Int last = Bound(stop, length, by < 0, by < 0 ? -1 : length);
  if (value.Is(Kind::kString) && by == 1) {
    const std::string& text = value.text();
    if (first >= last) return heap.Str("", value.string().safe);
    heap.Step(static_cast<int64_t>(text.size() / 64));
    const size_t from = ByteOf(text, static_cast<size_t>(first));
    const std::string_view rest = std::string_view(text).substr(from);
    const size_t size = ByteOf(rest, static_cast<size_t>(last - first));
    return heap.Str(std::string(rest.substr(0, size)), value.string().safe);
  }
  std::vector<size_t> places;
  const Int span = by > 0 ? last - first : first - last;
  heap.Charge(static_cast<uint64_t>(std::max<Int>(span, 0)) * sizeof(size_t));
  for (Int at = first; by > 0 ? at < last : at > last;) {
    places.push_back(static_cast<size_t>(at));
    if (by > length || by < -length) break;
    at += by;
  }
  if (value.Is(Kind::kString)) {
    heap.Charge(value.text().size() * sizeof(char32_t));
    const std::u32string codes = Decode(value.text());
    std::u32string out;
    for (const size_t at : places) out += codes[at];
    return heap.Str(Encode(out), value.string().safe);
  }
  std::vector<Value> out;
  for (const size_t at : places) out.push_back(value.list().items[at]);
  if (value.Is(Kind::kTuple)) return heap.TupleOf(std::move(out));
  if (value.Is(Kind::kList)) return heap.ListOf(std::move(out));
  return heap.SeriesOf(Series::kRange, "range(...)", std::move(out));
}

}  // namespace quern::jinja
