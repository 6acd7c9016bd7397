#include "model/chat/parser.h"

#include <algorithm>
#include <utility>

#include "model/chat/heap.h"

namespace quern::jinja {
namespace {

std::string Described(const Token& token) {
  switch (token.kind) {
    case TokenKind::kData:
      return "text";
    case TokenKind::kBlockBegin:
      return "'{%'";
    case TokenKind::kBlockEnd:
      return "'%}'";
    case TokenKind::kPrintBegin:
      return "'{{'";
    case TokenKind::kPrintEnd:
      return "'}}'";
    case TokenKind::kEnd:
      return "the end of the template";
    default:
      return "'" + token.text + "'";
  }
}

class StatementParser {
 public:
  explicit StatementParser(std::string_view source) : in_(Lex(source)), expr_(in_, names_) {}

  Syntax Run() {
    Syntax syntax;
    syntax.body = Body({});
    if (!in_.Is(TokenKind::kEnd)) in_.Unexpected("the end of the template");
    syntax.names = std::move(names_);
    return syntax;
  }

 private:
  using StmtPtr = std::unique_ptr<Stmt>;
  using Ends = std::initializer_list<std::string_view>;

  StmtPtr Make(StmtKind kind) const {
    auto made = std::make_unique<Stmt>();
    made->kind = kind;
    made->line = in_.line();
    return made;
  }

  // Statements up to "{% <one of ends>", of which the name is the token at hand then.
  Block Body(Ends ends) {
    Block body;
    for (;;) {
      switch (in_.Now().kind) {
        case TokenKind::kData: {
          StmtPtr text = Make(StmtKind::kText);
          text->text = in_.Take().text;
          body.push_back(std::move(text));
          break;
        }
        case TokenKind::kPrintBegin: {
          StmtPtr print = Make(StmtKind::kPrint);
          in_.Take();
          print->exprs.push_back(expr_.Tuple(true));
          in_.Expect(TokenKind::kPrintEnd);
          body.push_back(std::move(print));
          break;
        }
        case TokenKind::kBlockBegin: {
          in_.Take();
          for (const std::string_view end : ends) {
            if (in_.IsName(end)) return body;
          }
          body.push_back(Statement());
          in_.Expect(TokenKind::kBlockEnd);
          break;
        }
        default:
          if (ends.size() > 0) in_.Unexpected("'" + std::string(*(ends.end() - 1)) + "'");
          return body;
      }
    }
  }

  // The body of a statement: behind its "%}" up to an end, of which the name is left.
  Block Inner(Ends ends) {
    const Deeper deeper(expr_.depth, in_);
    in_.SkipOp(":");
    in_.Expect(TokenKind::kBlockEnd);
    return Body(ends);
  }

  Block InnerToEnd(std::string_view end) {
    Block body = Inner({end});
    in_.Take();
    return body;
  }

  StmtPtr Statement() {
    using Parse = StmtPtr (StatementParser::*)();
    static constexpr std::pair<std::string_view, Parse> kStatements[] = {
        {"for", &StatementParser::For},
        {"if", &StatementParser::If},
        {"set", &StatementParser::Set},
        {"macro", &StatementParser::Macro},
        {"call", &StatementParser::CallBlock},
        {"filter", &StatementParser::Filter},
        {"with", &StatementParser::With},
        {"generation", &StatementParser::Generation},
        {"print", &StatementParser::Print},
        {"break", &StatementParser::LoopControl},
        {"continue", &StatementParser::LoopControl},
    };
    if (!in_.Is(TokenKind::kName)) in_.Unexpected("the name of a tag");
    for (const auto& [name, parse] : kStatements) {
      if (in_.IsName(name)) return (this->*parse)();
    }
    in_.Bad("Encountered unknown tag '" + in_.Now().text + "'.");
  }

  // In a part where a filter that does not exist matters only when it is reached, or not.
  Block Softly(bool soft, Ends ends) {
    const bool was = std::exchange(expr_.soft, soft);
    Block body = Inner(ends);
    expr_.soft = was;
    return body;
  }

  StmtPtr If() {
    StmtPtr stmt = Make(StmtKind::kIf);
    const bool was = std::exchange(expr_.soft, true);
    do {
      in_.Take();
      stmt->exprs.push_back(expr_.Tuple(false));
      stmt->blocks.push_back(Inner({"elif", "else", "endif"}));
    } while (in_.IsName("elif"));
    if (in_.SkipName("else")) stmt->blocks.push_back(Inner({"endif"}));
    in_.Take();
    expr_.soft = was;
    return stmt;
  }

  StmtPtr For() {
    StmtPtr stmt = Make(StmtKind::kFor);
    in_.Take();
    stmt->targets.push_back(AssignTarget(false, "in"));
    if (Names(stmt->targets[0], "loop")) in_.Bad("the loop's variable cannot be 'loop'");
    in_.ExpectName("in");
    stmt->exprs.push_back(expr_.Tuple(false, "recursive"));
    stmt->exprs.push_back(in_.SkipName("if") ? expr_.Expression() : nullptr);
    stmt->recursive = in_.SkipName("recursive");
    ++loops_;
    stmt->blocks.push_back(Softly(false, {"endfor", "else"}));
    --loops_;
    if (in_.SkipName("else")) stmt->blocks.push_back(Softly(false, {"endfor"}));
    in_.Take();
    return stmt;
  }

  StmtPtr LoopControl() {
    if (loops_ == 0) in_.Bad("'" + in_.Now().text + "' outside of a loop");
    return Make(in_.Take().text == "break" ? StmtKind::kBreak : StmtKind::kContinue);
  }

  StmtPtr Set() {
    StmtPtr stmt = Make(StmtKind::kSet);
    in_.Take();
    stmt->targets.push_back(AssignTarget(true, {}));
    if (in_.SkipOp("=")) {
      stmt->exprs.push_back(expr_.Tuple(true));
      return stmt;
    }
    stmt->kind = StmtKind::kSetBlock;
    stmt->exprs.push_back(expr_.Filters(nullptr));
    stmt->blocks.push_back(Softly(false, {"endset"}));
    in_.Take();
    return stmt;
  }

  StmtPtr Print() {
    StmtPtr stmt = Make(StmtKind::kPrint);
    in_.Take();
    while (!in_.Is(TokenKind::kBlockEnd)) {
      if (!stmt->exprs.empty()) in_.ExpectOp(",");
      stmt->exprs.push_back(expr_.Expression());
    }
    return stmt;
  }

  StmtPtr With() {
    StmtPtr stmt = Make(StmtKind::kWith);
    in_.Take();
    while (!in_.Is(TokenKind::kBlockEnd)) {
      if (!stmt->targets.empty()) in_.ExpectOp(",");
      Target target;
      target.id = expr_.IdOf(in_.TakeName());
      stmt->targets.push_back(std::move(target));
      in_.ExpectOp("=");
      stmt->exprs.push_back(expr_.Expression());
    }
    stmt->blocks.push_back(Softly(false, {"endwith"}));
    in_.Take();
    return stmt;
  }

  StmtPtr Generation() {
    StmtPtr stmt = Make(StmtKind::kScope);
    in_.Take();
    const int loops = std::exchange(loops_, 0);
    stmt->blocks.push_back(Softly(false, {"endgeneration"}));
    loops_ = loops;
    in_.Take();
    return stmt;
  }

  StmtPtr Filter() {
    StmtPtr stmt = Make(StmtKind::kFilter);
    in_.Take();
    stmt->exprs.push_back(expr_.Filters(nullptr, true));
    stmt->blocks.push_back(Softly(false, {"endfilter"}));
    in_.Take();
    return stmt;
  }

  StmtPtr Macro() {
    StmtPtr stmt = Make(StmtKind::kMacro);
    in_.Take();
    const std::string name = in_.TakeName();
    stmt->macro = MacroOf(
        name, true, [&] { Signature(*stmt->macro); }, stmt->macro, "endmacro");
    return stmt;
  }

  StmtPtr CallBlock() {
    StmtPtr stmt = Make(StmtKind::kCallBlock);
    in_.Take();
    const auto head = [&] {
      if (in_.IsOp("(")) Signature(*stmt->macro);
      stmt->exprs.push_back(expr_.Expression());
      if (stmt->exprs[0]->kind != ExprKind::kCall) in_.Unexpected("a call");
    };
    stmt->macro = MacroOf("caller", false, head, stmt->macro, "endcall");
    return stmt;
  }

  // A macro whose head is read by `head` into `place`, and whose body ends with `end`.
  template <typename Head>
  std::unique_ptr<MacroSyntax> MacroOf(const std::string& name, bool assigns, Head head,
                                       std::unique_ptr<MacroSyntax>& place, std::string_view end) {
    place = std::make_unique<MacroSyntax>();
    place->name = name;
    place->id = assigns ? expr_.IdOf(name) : -1;
    head();
    const int loops = std::exchange(loops_, 0);
    const bool caller = std::exchange(expr_.read_caller, false);
    const bool varargs = std::exchange(expr_.read_varargs, false);
    const bool kwargs = std::exchange(expr_.read_kwargs, false);
    place->body = Softly(false, {end});
    in_.Take();
    place->uses_caller = expr_.read_caller;
    place->uses_varargs = expr_.read_varargs;
    place->uses_kwargs = expr_.read_kwargs;
    expr_.read_caller |= caller;
    expr_.read_varargs |= varargs;
    expr_.read_kwargs |= kwargs;
    loops_ = loops;
    return std::move(place);
  }

  void Signature(MacroSyntax& macro) {
    in_.ExpectOp("(");
    while (!in_.IsOp(")")) {
      if (!macro.parameters.empty()) in_.ExpectOp(",");
      const NameId id = expr_.IdOf(in_.TakeName());
      if (std::count(macro.parameters.begin(), macro.parameters.end(), id) > 0) {
        in_.Bad("a macro has a parameter twice");
      }
      macro.parameters.push_back(id);
      if (in_.SkipOp("=")) {
        macro.defaults.push_back(expr_.Expression());
      } else if (!macro.defaults.empty()) {
        in_.Bad("non-default argument follows default argument");
      }
    }
    in_.ExpectOp(")");
  }

  // A target, or several with commas between them, up to `end_name`.
  Target AssignTarget(bool with_attribute, std::string_view end_name) {
    Target tuple;
    tuple.form = Target::kTuple;
    bool has_comma = false;
    const Deeper deeper(expr_.depth, in_);
    while (!in_.Is(TokenKind::kBlockEnd) && !in_.IsOp(")") &&
           (end_name.empty() || !in_.IsName(end_name))) {
      tuple.parts.push_back(OneTarget(with_attribute));
      if (!in_.SkipOp(",")) break;
      has_comma = true;
    }
    if (has_comma) return tuple;
    if (tuple.parts.empty()) in_.Unexpected("a name");
    return std::move(tuple.parts[0]);
  }

  Target OneTarget(bool with_attribute) {
    if (in_.SkipOp("(")) {
      Target target = AssignTarget(with_attribute, {});
      in_.ExpectOp(")");
      return target;
    }
    static constexpr std::string_view kConstants[] = {"true", "false", "none",
                                                      "True", "False", "None"};
    const std::string name = in_.TakeName();
    if (std::count(std::begin(kConstants), std::end(kConstants), name) > 0) {
      in_.Bad("can't assign to '" + name + "'");
    }
    Target target;
    target.id = expr_.IdOf(name);
    if (with_attribute && in_.SkipOp(".")) {
      target.form = Target::kAttribute;
      target.attribute = in_.TakeName();
    }
    return target;
  }

  bool Names(const Target& target, std::string_view name) const {
    if (target.form == Target::kTuple) {
      return std::any_of(target.parts.begin(), target.parts.end(),
                         [&](const Target& part) { return Names(part, name); });
    }
    return names_[static_cast<size_t>(target.id)] == name;
  }

  TokenReader in_;
  std::vector<std::string> names_;
  ExpressionParser expr_;
  int loops_ = 0;  // around the statement, within its macro
};

}  // namespace

bool TokenReader::SkipName(std::string_view name) {
  const bool sees = IsName(name);
  if (sees) Take();
  return sees;
}

bool TokenReader::SkipOp(std::string_view op) {
  const bool sees = IsOp(op);
  if (sees) Take();
  return sees;
}

void TokenReader::ExpectName(std::string_view name) {
  if (!SkipName(name)) Unexpected("'" + std::string(name) + "'");
}

void TokenReader::ExpectOp(std::string_view op) {
  if (!SkipOp(op)) Unexpected("'" + std::string(op) + "'");
}

void TokenReader::Expect(TokenKind kind) {
  Token wanted;
  wanted.kind = kind;
  if (!Is(kind)) Unexpected(Described(wanted));
  Take();
}

std::string TokenReader::TakeName() {
  if (!Is(TokenKind::kName)) Unexpected("a name");
  return Take().text;
}

void TokenReader::Bad(std::string_view what) const { Refuse("line {}: {}", line(), what); }

void TokenReader::Unexpected(std::string_view wanted) const {
  Refuse("line {}: expected {}, got {}", line(), wanted, Described(Now()));
}

Syntax ParseTemplate(std::string_view source) { return StatementParser(source).Run(); }

}  // namespace quern::jinja
