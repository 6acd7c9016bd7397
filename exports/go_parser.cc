#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

#include "base/error.h"
#include "exports/go_lexer.h"
#include "exports/go_syntax.h"

namespace quern::go {
namespace {

constexpr int kMaxDepth = 100;

class Parser {
 public:
  Parser(std::string_view text, const std::string& name) : lexer_(text, name) {}

  Syntax Parse() {
    std::string end;
    syntax_.main = List(0, end);
    if (!end.empty()) lexer_.Refuse("'" + end + "' closes nothing");
    return std::move(syntax_);
  }

 private:
  // Nodes up to an action that closes or continues the one above: its keyword comes back in `end`,
  // "" at the end of the text, and the action's other words are still to be read.
  std::vector<Node> List(int depth, std::string& end) {
    if (depth > kMaxDepth) lexer_.Refuse("actions are nested too deep");
    std::vector<Node> nodes;
    while (true) {
      if (auto text = lexer_.Text(); !text.empty()) {
        nodes.push_back({.kind = Node::kText, .text = std::move(text)});
      }
      if (!lexer_.OpenAction()) {
        end.clear();
        return nodes;
      }
      const Token first = lexer_.Peek();
      if (first.kind == Token::kWord && (first.text == "end" || first.text == "else")) {
        lexer_.Take();
        end = first.text;
        return nodes;
      }
      Action(depth, nodes);
    }
  }

  void Action(int depth, std::vector<Node>& nodes) {
    const Token first = lexer_.Peek();
    if (first.kind == Token::kWord && first.text == "if") {
      lexer_.Take();
      nodes.push_back(If(depth));
    } else if (first.kind == Token::kWord && first.text == "range") {
      lexer_.Take();
      nodes.push_back(Range(depth));
    } else if (first.kind == Token::kWord && first.text == "define") {
      lexer_.Take();
      Define(depth);
    } else if (first.kind == Token::kWord && first.text == "template") {
      lexer_.Take();
      Node node{.kind = Node::kTemplate, .text = lexer_.Need(Token::kText, "a name").text};
      node.expr = Command();
      lexer_.CloseAction();
      nodes.push_back(std::move(node));
    } else if (first.kind == Token::kVariable) {
      nodes.push_back(VariableAction());
    } else {
      nodes.push_back({.kind = Node::kPrint, .expr = Command()});
      lexer_.CloseAction();
    }
  }

  // {{ $x := 1 }}, {{ $x = 1 }} and {{ $x.Role }}.
  Node VariableAction() {
    const Token variable = lexer_.Take();
    const Token::Kind next = lexer_.Peek().kind;
    Node node;
    if (next == Token::kDeclare || next == Token::kAssign) {
      lexer_.Take();
      node.kind = next == Token::kDeclare ? Node::kDeclare : Node::kAssign;
      node.text = variable.text;
      node.expr = Command();
    } else {
      node.kind = Node::kPrint;
      node.expr = {.kind = Expr::kVariable, .text = variable.text, .fields = variable.fields};
    }
    lexer_.CloseAction();
    return node;
  }

  Node If(int depth) {
    Node node{.kind = Node::kIf, .expr = Command()};
    lexer_.CloseAction();
    std::string end;
    node.body = List(depth + 1, end);
    Else(depth, end, node);
    return node;
  }

  // What stands behind {{ else ... }}, up to the {{ end }} of `node`.
  void Else(int depth, const std::string& end, Node& node) {
    if (end.empty()) lexer_.Refuse("an action has no {{ end }}");
    if (end == "end") return lexer_.CloseAction();
    if (lexer_.Peek().kind == Token::kWord && lexer_.Peek().text == "if" &&
        node.kind == Node::kIf) {
      if (depth > kMaxDepth) lexer_.Refuse("actions are nested too deep");
      lexer_.Take();
      node.otherwise.push_back(If(depth + 1));
      return;
    }
    lexer_.CloseAction();
    std::string last;
    node.otherwise = List(depth + 1, last);
    if (last != "end") lexer_.Refuse("{{ end }} is missing behind {{ else }}");
    lexer_.CloseAction();
  }

  Node Range(int depth) {
    Node node{.kind = Node::kRange};
    if (lexer_.Peek().kind == Token::kVariable) {
      const Token first = lexer_.Take();
      if (lexer_.Peek().kind == Token::kComma) {
        lexer_.Take();
        node.index = first.text;
        node.element = lexer_.Need(Token::kVariable, "a variable").text;
        lexer_.Need(Token::kDeclare, "':='");
        node.expr = Command();
      } else if (lexer_.Peek().kind == Token::kDeclare) {
        lexer_.Take();
        node.element = first.text;
        node.expr = Command();
      } else {
        node.expr = {.kind = Expr::kVariable, .text = first.text, .fields = first.fields};
      }
    } else {
      node.expr = Command();
    }
    lexer_.CloseAction();
    std::string end;
    node.body = List(depth + 1, end);
    Else(depth, end, node);
    return node;
  }

  void Define(int depth) {
    if (depth > 0) lexer_.Refuse("define stands inside another action");
    const std::string name = lexer_.Need(Token::kText, "a name").text;
    lexer_.CloseAction();
    std::string end;
    auto body = List(depth + 1, end);
    if (end != "end") lexer_.Refuse("define '" + name + "' has no {{ end }}");
    lexer_.CloseAction();
    if (!syntax_.defined.emplace(name, std::move(body)).second) {
      lexer_.Refuse("'" + name + "' is defined twice");
    }
  }

  // A call with its arguments, or one operand.
  Expr Command() {
    const Token first = lexer_.Peek();
    if (first.kind != Token::kWord || first.text == "true" || first.text == "false") {
      return Operand();
    }
    static const std::set<std::string> kKnown = {"and",   "or",    "not",        "eq", "ne",
                                                 "lt",    "le",    "gt",         "ge", "len",
                                                 "index", "slice", "currentDate"};
    if (!kKnown.contains(first.text)) lexer_.Refuse("'" + first.text + "' is not supported");
    lexer_.Take();
    Expr call{.kind = Expr::kCall, .text = first.text};
    while (lexer_.Peek().kind != Token::kClose && lexer_.Peek().kind != Token::kRightParen) {
      call.args.push_back(Operand());
    }
    return call;
  }

  Expr Operand() {
    if (++operand_depth_ > kMaxDepth) lexer_.Refuse("parentheses are nested too deep");
    const Token token = lexer_.Take();
    Expr expr;
    switch (token.kind) {
      case Token::kField:
        expr = {.kind = Expr::kDot, .fields = token.fields};
        break;
      case Token::kVariable:
        expr = {.kind = Expr::kVariable, .text = token.text, .fields = token.fields};
        break;
      case Token::kText:
        expr = {.kind = Expr::kText, .text = token.text};
        break;
      case Token::kInt:
        expr = {.kind = Expr::kInt, .number = token.number};
        break;
      case Token::kWord:
        if (token.text == "true" || token.text == "false") {
          expr = {.kind = Expr::kBool, .number = token.text == "true"};
          break;
        }
        // A function without arguments, as an argument itself.
        if (token.text != "currentDate") lexer_.Refuse("'" + token.text + "' is not supported");
        expr = {.kind = Expr::kCall, .text = token.text};
        break;
      case Token::kLeftParen:
        expr = Command();
        lexer_.Need(Token::kRightParen, "')'");
        if (lexer_.Peek().kind == Token::kField && lexer_.Peek().glued) {
          lexer_.Refuse("a field behind parentheses is not supported");
        }
        break;
      default:
        lexer_.Refuse("an operand is wanted");
    }
    --operand_depth_;
    return expr;
  }

  Lexer lexer_;
  Syntax syntax_;
  int operand_depth_ = 0;
};

}  // namespace

Syntax ParseGoTemplate(std::string_view text, const std::string& name) {
  return Parser(text, name).Parse();
}

}  // namespace quern::go
