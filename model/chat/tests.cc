#include <algorithm>

#include "model/chat/bound.h"
#include "model/chat/filters.h"
#include "model/chat/machine.h"
#include "model/chat/methods.h"
#include "model/chat/operators.h"
#include "model/chat/text_of.h"

// What may stand behind "is".
namespace quern::jinja {
namespace {

using Entry = std::pair<std::string_view, TestFunction>;

template <bool (*Is)(const Value&)>
bool Plain(Machine&, const Value& value, const Args& args) {
  const Bound bound("test", args, {});
  return Is(value);
}

bool IsDefined(const Value& value) { return !value.Is(Kind::kUndefined); }
bool IsUndefined(const Value& value) { return value.Is(Kind::kUndefined); }
bool IsNone(const Value& value) { return value.Is(Kind::kNone); }
bool IsBoolean(const Value& value) { return value.Is(Kind::kBool); }
bool IsTrue(const Value& value) { return value.Is(Kind::kBool) && value.boolean(); }
bool IsFalse(const Value& value) { return value.Is(Kind::kBool) && !value.boolean(); }
bool IsInteger(const Value& value) { return value.Is(Kind::kInt); }
bool IsFloat(const Value& value) { return value.Is(Kind::kFloat); }
bool IsNumber(const Value& value) { return value.IsNumber(); }
bool IsString(const Value& value) { return value.Is(Kind::kString); }
bool IsMapping(const Value& value) { return value.Is(Kind::kDict); }
bool IsCallable(const Value& value) {
  return value.Is(Kind::kCallable) || value.Is(Kind::kLoop) || value.Is(Kind::kUndefined);
}
bool IsEscaped(const Value& value) { return value.Is(Kind::kString) && value.string().safe; }
bool IsSequence(const Value& value) {
  if (value.Is(Kind::kSeries)) return value.series().form == Series::kRange;
  return value.Is(Kind::kString) || value.Is(Kind::kList) || value.Is(Kind::kTuple) ||
         value.Is(Kind::kDict) || value.Is(Kind::kUndefined);
}

template <bool upper>
bool IsCase(Machine& machine, const Value& value, const Args& args) {
  const Bound bound("test", args, {});
  const Value text = machine.heap().Str(StrOf(machine.heap(), value));
  return Truth(FindMethod(text, upper ? "isupper" : "islower")(machine, text, Args()));
}

template <int rest>
bool HasRest(Machine& machine, const Value& value, const Args& args) {
  const Bound bound("test", args, {});
  const Value left = Binary(machine.heap(), "%", value, Value::Integer(2));
  return Equal(machine.heap(), left, Value::Integer(rest));
}

bool DivisibleBy(Machine& machine, const Value& value, const Args& args) {
  const Bound bound("divisibleby", args, {"num"}, 1);
  const Value left = Binary(machine.heap(), "%", value, bound.At(0));
  return Equal(machine.heap(), left, Value::Integer(0));
}

bool SameAs(Machine&, const Value& value, const Args& args) {
  const Bound bound("sameas", args, {"other"}, 1);
  const Value other = bound.At(0);
  if (value.kind() != other.kind()) return false;
  if (value.Is(Kind::kNone)) return true;
  if (value.IsInt()) return value.integer() == other.integer();
  return !value.Is(Kind::kFloat) && value.object() == other.object();
}

// The tests that are operators; `op` is one of operators.h.
template <char first, char second = '\0'>
bool Operator(Machine& machine, const Value& value, const Args& args) {
  static constexpr char kOp[] = {first, second};
  const Bound bound("test", args, {"other"}, 1);
  return Compared(machine.heap(), std::string_view(kOp, second == '\0' ? 1 : 2), value,
                  bound.At(0));
}

bool IsFilter(Machine&, const Value& value, const Args& args) {
  const Bound bound("filter", args, {});
  return value.Is(Kind::kString) && HasFilter(value.text());
}

bool IsTest(Machine&, const Value& value, const Args& args) {
  const Bound bound("test", args, {});
  return value.Is(Kind::kString) && HasTest(value.text());
}

constexpr Entry kTests[] = {
    {"defined", Plain<IsDefined>},
    {"undefined", Plain<IsUndefined>},
    {"none", Plain<IsNone>},
    {"boolean", Plain<IsBoolean>},
    {"true", Plain<IsTrue>},
    {"false", Plain<IsFalse>},
    {"integer", Plain<IsInteger>},
    {"float", Plain<IsFloat>},
    {"number", Plain<IsNumber>},
    {"string", Plain<IsString>},
    {"mapping", Plain<IsMapping>},
    {"iterable", Plain<IsIterable>},
    {"sequence", Plain<IsSequence>},
    {"callable", Plain<IsCallable>},
    {"escaped", Plain<IsEscaped>},
    {"lower", IsCase<false>},
    {"upper", IsCase<true>},
    {"odd", HasRest<1>},
    {"even", HasRest<0>},
    {"divisibleby", DivisibleBy},
    {"sameas", SameAs},
    {"filter", IsFilter},
    {"test", IsTest},
    {"in", Operator<'i', 'n'>},
    {"==", Operator<'=', '='>},
    {"eq", Operator<'=', '='>},
    {"equalto", Operator<'=', '='>},
    {"!=", Operator<'!', '='>},
    {"ne", Operator<'!', '='>},
    {">", Operator<'>'>},
    {"gt", Operator<'>'>},
    {"greaterthan", Operator<'>'>},
    {">=", Operator<'>', '='>},
    {"ge", Operator<'>', '='>},
    {"<", Operator<'<'>},
    {"lt", Operator<'<'>},
    {"lessthan", Operator<'<'>},
    {"<=", Operator<'<', '='>},
    {"le", Operator<'<', '='>},
};

}  // namespace

TestFunction FindTest(std::string_view name) {
  const auto* found = std::find_if(std::begin(kTests), std::end(kTests),
                                   [name](const Entry& entry) { return entry.first == name; });
  return found == std::end(kTests) ? nullptr : found->second;
}

}  // namespace quern::jinja
