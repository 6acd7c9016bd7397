#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model/chat/lexer.h"
#include "model/chat/syntax.h"

namespace quern::jinja {

// What the parsers of statements and of expressions share: the tokens, the names, the depth.
class TokenReader {
 public:
  explicit TokenReader(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  const Token& Now() const { return tokens_[at_]; }
  const Token& Next() const { return tokens_[at_ + 1 < tokens_.size() ? at_ + 1 : at_]; }
  const Token& Take() { return tokens_[at_ + 1 < tokens_.size() ? at_++ : at_]; }
  bool Is(TokenKind kind) const { return Now().kind == kind; }
  bool IsName(std::string_view name) const { return Is(TokenKind::kName) && Now().text == name; }
  bool IsOp(std::string_view op) const { return Is(TokenKind::kOperator) && Now().text == op; }
  bool SkipName(std::string_view name);
  bool SkipOp(std::string_view op);
  void ExpectName(std::string_view name);
  void ExpectOp(std::string_view op);
  void Expect(TokenKind kind);
  std::string TakeName();
  int line() const { return Now().line; }
  [[noreturn]] void Bad(std::string_view what) const;
  [[noreturn]] void Unexpected(std::string_view wanted) const;

 private:
  std::vector<Token> tokens_;
  size_t at_ = 0;
};

// The parser's depth while it is in scope, bounded since parser, evaluator and destructor recurse.
class Deeper {
 public:
  Deeper(int& depth, const TokenReader& reader);
  ~Deeper() { --depth_; }
  Deeper(const Deeper&) = delete;
  Deeper& operator=(const Deeper&) = delete;

 private:
  int& depth_;
};

class ExpressionParser {
 public:
  ExpressionParser(TokenReader& reader, std::vector<std::string>& names)
      : in_(reader), names_(names) {}

  NameId IdOf(const std::string& name);
  // An expression, with "a if b else c" or without.
  ExprPtr Expression(bool with_if_else = true);
  // The same, or several with commas between them: a tuple.
  ExprPtr Tuple(bool with_if_else, std::string_view end_name = {}, bool in_parentheses = false);
  // "|name(arguments)|..." behind `value`; `at_name`: the first bar is not there.
  ExprPtr Filters(ExprPtr value, bool at_name = false);

  // What the parser of statements sets and reads: the depth of nesting, whether a filter that does
  // not exist matters only where it is reached, and which special names were read.
  int depth = 0;
  bool soft = false;
  bool read_caller = false, read_varargs = false, read_kwargs = false;

 private:
  ExprPtr Make(ExprKind kind) const;
  void Hold(Expr& parent, ExprPtr part) const;
  void HoldArgument(Expr& parent, Argument::Form form, std::string name, ExprPtr value) const;
  // Operands with the same word between them, or the only one.
  ExprPtr Joined(std::string_view word, ExprKind kind, ExprPtr (ExpressionParser::*operand)());
  ExprPtr Or();
  ExprPtr And();
  ExprPtr Not();
  ExprPtr Compare();
  ExprPtr Chain(ExprKind kind, std::initializer_list<std::string_view> ops,
                ExprPtr (ExpressionParser::*operand)());
  ExprPtr Sum();
  ExprPtr Concat();
  ExprPtr Product();
  ExprPtr Power();
  ExprPtr FilteredUnary() { return Unary(true); }
  ExprPtr Unary(bool with_filters);
  ExprPtr Primary();
  ExprPtr NameOrConstant();
  ExprPtr ListLiteral();
  ExprPtr DictLiteral();
  ExprPtr Postfix(ExprPtr value);
  ExprPtr Subscript(ExprPtr value);
  ExprPtr BracketSubscript(ExprPtr value);
  ExprPtr Call(ExprPtr value);
  void Arguments(Expr& call);
  ExprPtr FiltersAndTests(ExprPtr value);
  ExprPtr Test(ExprPtr value);

  TokenReader& in_;
  std::vector<std::string>& names_;
  std::unordered_map<std::string, NameId> ids_;
};

}  // namespace quern::jinja
