#include "model/chat/heap.h"

namespace quern::jinja {

Value Heap::Str(std::string text, bool safe) {
  Charge(text.size());
  return {Kind::kString, New<Text>(std::move(text), safe)};
}

Value Heap::ListOf(std::vector<Value> items) {
  ChargeValues(items.size());
  return {Kind::kList, New<List>(std::move(items))};
}

Value Heap::TupleOf(std::vector<Value> items) {
  ChargeValues(items.size());
  return {Kind::kTuple, New<List>(std::move(items))};
}

Value Heap::SeriesOf(Series::Form form, std::string shown, std::vector<Value> items) {
  ChargeValues(items.size());
  return {Kind::kSeries, New<Series>(form, std::move(shown), std::move(items))};
}

Value Heap::Function(std::string name, NativeFunction function) {
  return {Kind::kCallable, New<Callable>(std::move(name), std::move(function))};
}

Value Heap::Undefined(std::string why) {
  Charge(why.size());
  return {Kind::kUndefined, New<Text>(std::move(why))};
}

}  // namespace quern::jinja
