#include <utility>

#include "model/chat/filters.h"
#include "model/chat/heap.h"
#include "model/chat/parser.h"

namespace quern::jinja {
namespace {

// Of nested parentheses, blocks and unary operators, and of trees: a chain of filters nests too.
constexpr int kMaxNesting = 100;
constexpr int kMaxTree = 250;

}  // namespace

Deeper::Deeper(int& depth, const TokenReader& reader) : depth_(depth) {
  if (depth_ >= kMaxNesting) reader.Bad("the template is nested too deeply");
  ++depth_;
}

NameId ExpressionParser::IdOf(const std::string& name) {
  const auto [place, is_new] = ids_.emplace(name, static_cast<NameId>(names_.size()));
  if (is_new) names_.push_back(name);
  return place->second;
}

ExprPtr ExpressionParser::Make(ExprKind kind) const {
  auto made = std::make_unique<Expr>();
  made->kind = kind;
  made->line = in_.line();
  return made;
}

void ExpressionParser::Hold(Expr& parent, ExprPtr part) const {
  if (part) parent.depth = std::max(parent.depth, part->depth + 1);
  if (parent.depth > kMaxTree) in_.Bad("the template is nested too deeply");
  parent.parts.push_back(std::move(part));
}

void ExpressionParser::HoldArgument(Expr& parent, Argument::Form form, std::string name,
                                    ExprPtr value) const {
  parent.depth = std::max(parent.depth, value->depth + 1);
  if (parent.depth > kMaxTree) in_.Bad("the template is nested too deeply");
  parent.arguments.push_back({form, std::move(name), std::move(value)});
}

ExprPtr ExpressionParser::Expression(bool with_if_else) {
  const Deeper deeper(depth, in_);
  ExprPtr value = Or();
  while (with_if_else && in_.IsName("if")) {
    ExprPtr choice = Make(ExprKind::kIfElse);
    in_.Take();
    Hold(*choice, std::move(value));
    Hold(*choice, Or());
    Hold(*choice, in_.SkipName("else") ? Expression() : nullptr);
    value = std::move(choice);
  }
  return value;
}

ExprPtr ExpressionParser::Tuple(bool with_if_else, std::string_view end_name, bool in_parentheses) {
  ExprPtr tuple = Make(ExprKind::kTuple);
  bool has_comma = false;
  for (;;) {
    const bool ends = in_.Is(TokenKind::kPrintEnd) || in_.Is(TokenKind::kBlockEnd) ||
                      in_.IsOp(")") || (!end_name.empty() && in_.IsName(end_name));
    if (ends) break;
    Hold(*tuple, Expression(with_if_else));
    if (!in_.SkipOp(",")) break;
    has_comma = true;
  }
  if (has_comma) return tuple;
  if (!tuple->parts.empty()) return std::move(tuple->parts[0]);
  if (!in_parentheses) in_.Unexpected("an expression");
  return tuple;
}

ExprPtr ExpressionParser::Joined(std::string_view word, ExprKind kind,
                                 ExprPtr (ExpressionParser::*operand)()) {
  ExprPtr first = (this->*operand)();
  if (!in_.IsName(word)) return first;
  ExprPtr whole = Make(kind);
  Hold(*whole, std::move(first));
  while (in_.SkipName(word)) Hold(*whole, (this->*operand)());
  return whole;
}

ExprPtr ExpressionParser::Or() { return Joined("or", ExprKind::kOr, &ExpressionParser::And); }
ExprPtr ExpressionParser::And() { return Joined("and", ExprKind::kAnd, &ExpressionParser::Not); }

ExprPtr ExpressionParser::Not() {
  if (!in_.IsName("not")) return Compare();
  const Deeper deeper(depth, in_);
  ExprPtr whole = Make(ExprKind::kNot);
  in_.Take();
  Hold(*whole, Not());
  return whole;
}

ExprPtr ExpressionParser::Compare() {
  ExprPtr whole = Make(ExprKind::kCompare);
  Hold(*whole, Sum());
  for (;;) {
    std::string op;
    if (in_.Is(TokenKind::kOperator)) {
      for (const char* one : {"==", "!=", "<", "<=", ">", ">="}) {
        if (in_.Now().text == one) op = one;
      }
      if (op.empty()) break;
      in_.Take();
    } else if (in_.SkipName("in")) {
      op = "in";
    } else if (in_.IsName("not") && in_.Next().kind == TokenKind::kName &&
               in_.Next().text == "in") {
      in_.Take();
      in_.Take();
      op = "not in";
    } else {
      break;
    }
    whole->ops.push_back(std::move(op));
    Hold(*whole, Sum());
  }
  return whole->ops.empty() ? std::move(whole->parts[0]) : std::move(whole);
}

ExprPtr ExpressionParser::Chain(ExprKind kind, std::initializer_list<std::string_view> ops,
                                ExprPtr (ExpressionParser::*operand)()) {
  ExprPtr first = (this->*operand)();
  ExprPtr whole;
  for (;;) {
    std::string_view found;
    for (const std::string_view op : ops) found = in_.IsOp(op) ? op : found;
    if (found.empty()) return whole ? std::move(whole) : std::move(first);
    if (!whole) {
      whole = Make(kind);
      Hold(*whole, std::move(first));
    }
    in_.Take();
    whole->ops.emplace_back(found);
    Hold(*whole, (this->*operand)());
  }
}

ExprPtr ExpressionParser::Sum() {
  return Chain(ExprKind::kArithmetic, {"+", "-"}, &ExpressionParser::Concat);
}
ExprPtr ExpressionParser::Concat() {
  return Chain(ExprKind::kConcat, {"~"}, &ExpressionParser::Product);
}
ExprPtr ExpressionParser::Product() {
  return Chain(ExprKind::kArithmetic, {"*", "/", "//", "%"}, &ExpressionParser::Power);
}
ExprPtr ExpressionParser::Power() {
  return Chain(ExprKind::kArithmetic, {"**"}, &ExpressionParser::FilteredUnary);
}

ExprPtr ExpressionParser::Unary(bool with_filters) {
  ExprPtr value;
  if (in_.IsOp("-") || in_.IsOp("+")) {
    const Deeper deeper(depth, in_);
    value = Make(in_.IsOp("-") ? ExprKind::kNegative : ExprKind::kPositive);
    in_.Take();
    Hold(*value, Unary(false));
  } else {
    value = Primary();
  }
  value = Postfix(std::move(value));
  return with_filters ? FiltersAndTests(std::move(value)) : std::move(value);
}

ExprPtr ExpressionParser::Primary() {
  const Token& token = in_.Now();
  ExprPtr value = Make(ExprKind::kConst);
  switch (token.kind) {
    case TokenKind::kName:
      return NameOrConstant();
    case TokenKind::kString: {
      std::string text;
      while (in_.Is(TokenKind::kString)) text += in_.Take().text;
      value->owned = std::make_unique<Text>(std::move(text));
      value->constant = Value(Kind::kString, value->owned.get());
      return value;
    }
    case TokenKind::kInteger:
      value->constant = Value::Integer(in_.Take().integer);
      return value;
    case TokenKind::kFloat:
      value->constant = Value::Float(in_.Take().real);
      return value;
    default:
      break;
  }
  if (in_.SkipOp("(")) {
    value = Tuple(true, {}, true);
    in_.ExpectOp(")");
    return value;
  }
  if (in_.SkipOp("[")) return ListLiteral();
  if (in_.SkipOp("{")) return DictLiteral();
  in_.Unexpected("an expression");
}

ExprPtr ExpressionParser::NameOrConstant() {
  const std::string name = in_.Now().text;
  ExprPtr value = Make(ExprKind::kConst);
  in_.Take();
  if (name == "true" || name == "True" || name == "false" || name == "False") {
    value->constant = Value::Bool(name[0] == 't' || name[0] == 'T');
  } else if (name != "none" && name != "None") {
    value->kind = ExprKind::kName;
    value->id = IdOf(name);
    read_caller |= name == "caller";
    read_varargs |= name == "varargs";
    read_kwargs |= name == "kwargs";
  }
  return value;
}

ExprPtr ExpressionParser::ListLiteral() {
  ExprPtr list = Make(ExprKind::kList);
  while (!in_.IsOp("]")) {
    Hold(*list, Expression());
    if (!in_.SkipOp(",")) break;
  }
  in_.ExpectOp("]");
  return list;
}

ExprPtr ExpressionParser::DictLiteral() {
  ExprPtr dict = Make(ExprKind::kDict);
  while (!in_.IsOp("}")) {
    Hold(*dict, Expression());
    in_.ExpectOp(":");
    Hold(*dict, Expression());
    if (!in_.SkipOp(",")) break;
  }
  in_.ExpectOp("}");
  return dict;
}

ExprPtr ExpressionParser::Postfix(ExprPtr value) {
  for (;;) {
    if (in_.IsOp(".") || in_.IsOp("[")) {
      value = Subscript(std::move(value));
    } else if (in_.IsOp("(")) {
      value = Call(std::move(value));
    } else {
      return value;
    }
  }
}

ExprPtr ExpressionParser::Subscript(ExprPtr value) {
  if (in_.SkipOp("[")) return BracketSubscript(std::move(value));
  in_.ExpectOp(".");
  if (in_.Is(TokenKind::kInteger)) {
    ExprPtr item = Make(ExprKind::kGetItem);
    ExprPtr index = Make(ExprKind::kConst);
    index->constant = Value::Integer(in_.Take().integer);
    Hold(*item, std::move(value));
    Hold(*item, std::move(index));
    return item;
  }
  ExprPtr attribute = Make(ExprKind::kGetAttr);
  attribute->text = in_.TakeName();
  Hold(*attribute, std::move(value));
  return attribute;
}

ExprPtr ExpressionParser::BracketSubscript(ExprPtr value) {
  ExprPtr item = Make(ExprKind::kGetItem);
  Hold(*item, std::move(value));
  ExprPtr first = in_.IsOp(":") ? nullptr : Expression();
  if (!in_.IsOp(":")) {
    if (in_.IsOp(",")) {
      ExprPtr tuple = Make(ExprKind::kTuple);
      Hold(*tuple, std::move(first));
      while (in_.SkipOp(",")) Hold(*tuple, Expression());
      first = std::move(tuple);
    }
    Hold(*item, std::move(first));
    in_.ExpectOp("]");
    return item;
  }
  item->kind = ExprKind::kSlice;
  Hold(*item, std::move(first));
  for (int i = 0; i < 2; ++i) {
    const bool given = in_.SkipOp(":") && !in_.IsOp(":") && !in_.IsOp("]");
    Hold(*item, given ? Expression() : nullptr);
  }
  in_.ExpectOp("]");
  return item;
}

ExprPtr ExpressionParser::Call(ExprPtr value) {
  ExprPtr call = Make(ExprKind::kCall);
  Hold(*call, std::move(value));
  Arguments(*call);
  return call;
}

void ExpressionParser::Arguments(Expr& call) {
  in_.ExpectOp("(");
  Argument::Form last = Argument::kPositional;
  while (!in_.IsOp(")")) {
    Argument::Form form = Argument::kPositional;
    std::string name;
    if (in_.SkipOp("*")) {
      form = Argument::kList;
    } else if (in_.SkipOp("**")) {
      form = Argument::kDict;
    } else if (in_.Is(TokenKind::kName) && in_.Next().kind == TokenKind::kOperator &&
               in_.Next().text == "=") {
      form = Argument::kNamed;
      name = in_.TakeName();
      in_.Take();
      for (const Argument& one : call.arguments) {
        if (one.form == form && one.name == name) in_.Bad("keyword argument repeated: " + name);
      }
    }
    const bool ordered = form == Argument::kPositional ? last == form
                         : form == Argument::kList     ? last <= Argument::kNamed
                                                       : last != Argument::kDict;
    if (!ordered) in_.Bad("invalid syntax for function call expression");
    last = std::max(last, form);
    HoldArgument(call, form, std::move(name), Expression());
    if (!in_.SkipOp(",")) break;
  }
  in_.ExpectOp(")");
}

ExprPtr ExpressionParser::FiltersAndTests(ExprPtr value) {
  for (;;) {
    if (in_.IsOp("|")) {
      value = Filters(std::move(value));
    } else if (in_.IsName("is")) {
      value = Test(std::move(value));
    } else if (in_.IsOp("(")) {
      value = Call(std::move(value));
    } else {
      return value;
    }
  }
}

ExprPtr ExpressionParser::Filters(ExprPtr value, bool at_name) {
  while (at_name || in_.IsOp("|")) {
    ExprPtr filter = Make(ExprKind::kFilter);
    if (!at_name) in_.Take();
    at_name = false;
    filter->text = in_.TakeName();
    while (in_.SkipOp(".")) filter->text += "." + in_.TakeName();
    if (!soft && !HasFilter(filter->text)) in_.Bad("No filter named '" + filter->text + "'.");
    Hold(*filter, std::move(value));
    if (in_.IsOp("(")) Arguments(*filter);
    value = std::move(filter);
  }
  return value;
}

ExprPtr ExpressionParser::Test(ExprPtr value) {
  ExprPtr test = Make(ExprKind::kTest);
  in_.Take();
  const bool negated = in_.SkipName("not");
  test->text = in_.TakeName();
  while (in_.SkipOp(".")) test->text += "." + in_.TakeName();
  if (!soft && !HasTest(test->text)) in_.Bad("No test named '" + test->text + "'.");
  Hold(*test, std::move(value));
  const bool has_operand = in_.Is(TokenKind::kName) || in_.Is(TokenKind::kString) ||
                           in_.Is(TokenKind::kInteger) || in_.Is(TokenKind::kFloat) ||
                           in_.IsOp("[") || in_.IsOp("{");
  if (in_.IsOp("(")) {
    Arguments(*test);
  } else if (has_operand && !in_.IsName("else") && !in_.IsName("or") && !in_.IsName("and")) {
    if (in_.IsName("is")) in_.Bad("You cannot chain multiple tests with is");
    HoldArgument(*test, Argument::kPositional, {}, Postfix(Primary()));
  }
  if (!negated) return test;
  ExprPtr whole = Make(ExprKind::kNot);
  Hold(*whole, std::move(test));
  return whole;
}

}  // namespace quern::jinja
