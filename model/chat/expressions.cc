#include "model/chat/filters.h"
#include "model/chat/machine.h"
#include "model/chat/numbers.h"
#include "model/chat/operators.h"
#include "model/chat/text_of.h"

namespace quern::jinja {

Value Machine::Evaluate(const Expr& expr) {
  const Deeper deeper(*this);
  heap_.Step();
  switch (expr.kind) {
    case ExprKind::kConst:
      return expr.constant;
    case ExprKind::kName:
      return Name(expr.id);
    case ExprKind::kGetAttr:
      return Attribute(Evaluate(*expr.parts[0]), expr.text);
    case ExprKind::kGetItem: {
      const Value value = Evaluate(*expr.parts[0]);
      return Item(value, Evaluate(*expr.parts[1]));
    }
    case ExprKind::kAnd:
    case ExprKind::kOr: {
      Value value;
      for (const ExprPtr& part : expr.parts) {
        value = Evaluate(*part);
        if (Truth(value) == (expr.kind == ExprKind::kOr)) break;
      }
      return value;
    }
    case ExprKind::kNot:
      return Value::Bool(!Truth(Evaluate(*expr.parts[0])));
    case ExprKind::kIfElse:
      if (Truth(Evaluate(*expr.parts[1]))) return Evaluate(*expr.parts[0]);
      if (expr.parts[2]) return Evaluate(*expr.parts[2]);
      return heap_.Undefined(
          "the inline if-expression evaluated to false and no else section was defined");
    default:
      return Operation(expr);
  }
}

Value Machine::Operation(const Expr& expr) {
  switch (expr.kind) {
    case ExprKind::kList:
      return heap_.ListOf(PartsOf(expr));
    case ExprKind::kTuple:
      return heap_.TupleOf(PartsOf(expr));
    case ExprKind::kDict:
      return DictOf(expr);
    case ExprKind::kSlice:
      return Slice(expr);
    case ExprKind::kCall: {
      const Value function = Evaluate(*expr.parts[0]);
      return Call(function, ArgumentsOf(expr));
    }
    case ExprKind::kFilter:
      return ApplyFilter(expr, Value());
    case ExprKind::kTest: {
      const Value value = Evaluate(*expr.parts[0]);
      return Value::Bool(Test(expr.text, value, ArgumentsOf(expr)));
    }
    case ExprKind::kNegative:
    case ExprKind::kPositive: {
      const Value value = Evaluate(*expr.parts[0]);
      if (value.Is(Kind::kUndefined)) Refuse("{}", value.text());
      if (!value.IsNumber()) Refuse("bad operand type for unary sign: '{}'", TypeName(value));
      if (expr.kind == ExprKind::kNegative) return Negative(value);
      return value.IsInt() ? Value::Integer(value.integer()) : value;
    }
    case ExprKind::kArithmetic: {
      Value value = Evaluate(*expr.parts[0]);
      for (size_t i = 0; i < expr.ops.size(); ++i) {
        value = Binary(heap_, expr.ops[i], value, Evaluate(*expr.parts[i + 1]));
      }
      return value;
    }
    case ExprKind::kCompare:
      return CompareChain(expr);
    default:
      return Concat(expr);
  }
}

Value Machine::Name(NameId id) {
  for (const Scope* scope = scope_; scope != nullptr; scope = scope->parent) {
    heap_.Step(static_cast<int64_t>(1 + scope->variables.size() / 16));
    for (const auto& [name, value] : scope->variables) {
      if (name == id) return value;
    }
  }
  return heap_.Undefined("'" + syntax_.names[static_cast<size_t>(id)] + "' is undefined");
}

std::vector<Value> Machine::PartsOf(const Expr& expr) {
  std::vector<Value> values;
  values.reserve(expr.parts.size());
  for (const ExprPtr& part : expr.parts) values.push_back(Evaluate(*part));
  return values;
}

Value Machine::DictOf(const Expr& expr) {
  const std::vector<Value> values = PartsOf(expr);
  Dict* const dict = heap_.New<Dict>();
  for (size_t i = 0; i + 1 < values.size(); i += 2) dict->Set(heap_, values[i], values[i + 1]);
  return {Kind::kDict, dict};
}

Value Machine::Slice(const Expr& expr) {
  Value parts[4];
  for (size_t i = 0; i < 4; ++i) {
    if (expr.parts[i]) parts[i] = Evaluate(*expr.parts[i]);
  }
  return Sliced(heap_, parts[0], parts[1], parts[2], parts[3]);
}

Value Machine::CompareChain(const Expr& expr) {
  Value left = Evaluate(*expr.parts[0]);
  for (size_t i = 0; i < expr.ops.size(); ++i) {
    const Value right = Evaluate(*expr.parts[i + 1]);
    if (!Compared(heap_, expr.ops[i], left, right)) return Value::Bool(false);
    left = right;
  }
  return Value::Bool(true);
}

Value Machine::Concat(const Expr& expr) {
  std::string text;
  for (const ExprPtr& part : expr.parts) AppendStr(heap_, Evaluate(*part), text);
  return heap_.Str(std::move(text));
}

// A filter without a part of its own is the innermost of a block's, and is given `value`.
Value Machine::ApplyFilter(const Expr& expr, const Value& value) {
  const Deeper deeper(*this);
  const Expr* inner = expr.parts[0].get();
  if (inner == nullptr) return Filter(expr.text, value, ArgumentsOf(expr));
  const Value operand =
      inner->kind == ExprKind::kFilter ? ApplyFilter(*inner, value) : Evaluate(*inner);
  return Filter(expr.text, operand, ArgumentsOf(expr));
}

Args Machine::ArgumentsOf(const Expr& expr) {
  Args args;
  const auto add_named = [&](const std::string& name, const Value& value) {
    heap_.Step(static_cast<int64_t>(args.named.size()));
    for (const auto& one : args.named) {
      if (one.first == name) Refuse("got multiple values for keyword argument '{}'", name);
    }
    args.named.emplace_back(name, value);
  };
  for (const Argument& argument : expr.arguments) {
    const Value value = Evaluate(*argument.value);
    switch (argument.form) {
      case Argument::kPositional:
        args.at.push_back(value);
        break;
      case Argument::kNamed:
        add_named(argument.name, value);
        break;
      case Argument::kList: {
        const std::vector<Value> items = Items(heap_, value);
        args.at.insert(args.at.end(), items.begin(), items.end());
        break;
      }
      case Argument::kDict:
        if (!value.Is(Kind::kDict)) Refuse("argument after ** must be a mapping");
        for (const auto& [name, one] : value.dict().entries) {
          if (!name.Is(Kind::kString)) Refuse("keywords must be strings");
          add_named(name.text(), one);
        }
    }
  }
  return args;
}

Value Machine::Filter(const std::string& name, const Value& value, const Args& args) {
  const Deeper deeper(*this);
  const FilterFunction filter = FindFilter(name);
  if (filter == nullptr) Refuse("No filter named '{}' found.", name);
  return filter(*this, value, args);
}

bool Machine::Test(const std::string& name, const Value& value, const Args& args) {
  const TestFunction test = FindTest(name);
  if (test == nullptr) Refuse("No test named '{}' found.", name);
  return test(*this, value, args);
}

}  // namespace quern::jinja
