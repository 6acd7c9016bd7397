#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "model/chat/value.h"

// A template as a tree.
namespace quern::jinja {

// A variable's name, as its place in Syntax::names.
using NameId = int;

enum class ExprKind {
  kConst,
  kName,
  kList,
  kTuple,
  kDict,     // parts: key, value, key, value ...
  kGetAttr,  // parts[0].text
  kGetItem,  // parts[0][parts[1]]
  kSlice,    // parts[0][parts[1]:parts[2]:parts[3]], each of the last three may be absent
  kCall,     // parts[0](arguments)
  kFilter,   // parts[0]|text(arguments); no part in {% filter %} and {% set x | ... %}
  kTest,     // parts[0] is text(arguments)
  kNot,
  kNegative,
  kPositive,
  kArithmetic,  // parts[0] ops[0] parts[1] ops[1] ... from the left
  kCompare,     // the same, chained as in Python
  kConcat,
  kAnd,
  kOr,
  kIfElse,  // parts[0] if parts[1] else parts[2], which may be absent
};

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;

struct Argument {
  enum Form { kPositional, kNamed, kList, kDict };  // x, name=x, *x, **x
  Form form;
  std::string name;
  ExprPtr value;
};

struct Expr {
  ExprKind kind;
  int line = 0;
  int depth = 1;  // of the tree below it
  NameId id = 0;
  std::string text;
  Value constant;
  std::unique_ptr<Object> owned;  // what `constant` points to
  std::vector<ExprPtr> parts;
  std::vector<std::string> ops;
  std::vector<Argument> arguments;
};

// What is assigned to: a name, an attribute of a namespace, or a tuple of these.
struct Target {
  enum Form { kName, kAttribute, kTuple };
  Form form = kName;
  NameId id = 0;
  std::string attribute;
  std::vector<Target> parts;
};

enum class StmtKind {
  kText,
  kPrint,      // exprs
  kIf,         // exprs[i] with blocks[i]; one block more is the else
  kFor,        // targets[0] in exprs[0] if exprs[1] (or null): blocks[0], else blocks[1]
  kSet,        // targets[0] = exprs[0]
  kSetBlock,   // targets[0] = blocks[0] through the filter exprs[0] (or null)
  kMacro,      // macro
  kCallBlock,  // exprs[0] is the call, macro the caller
  kFilter,     // blocks[0] through exprs[0]
  kWith,       // targets[i] = exprs[i], then blocks[0]
  kScope,      // blocks[0] in a scope of its own
  kBreak,
  kContinue,
};

struct Stmt;
using Block = std::vector<std::unique_ptr<Stmt>>;

struct MacroSyntax {
  std::string name;
  NameId id = 0;
  std::vector<NameId> parameters;
  std::vector<ExprPtr> defaults;  // of the last parameters
  Block body;
  // Whether the body names these, which are then defined.
  bool uses_caller = false, uses_varargs = false, uses_kwargs = false;
};

struct Stmt {
  StmtKind kind;
  int line = 0;
  bool recursive = false;
  std::string text;
  std::vector<ExprPtr> exprs;
  std::vector<Target> targets;
  std::vector<Block> blocks;
  std::unique_ptr<MacroSyntax> macro;
};

struct Syntax {
  std::vector<std::string> names;
  Block body;
};

// Refuses what is no template, with its line, and nesting that is too deep.
Syntax ParseTemplate(std::string_view source);

}  // namespace quern::jinja
