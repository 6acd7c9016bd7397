#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/chat/heap.h"
#include "model/chat/loop.h"
#include "model/chat/syntax.h"
#include "model/chat/value.h"

namespace quern::jinja {

// Variables of one level: a template, an iteration, a macro's call. A macro keeps the scope that
// it was made in.
struct Scope : Object {
  explicit Scope(Scope* outer) : parent(outer) {}
  Scope* parent;
  std::vector<std::pair<NameId, Value>> variables;
};

// Renders one template once. Refuses what the reference raises an exception for.
class Machine {
 public:
  Machine(const Syntax& syntax, Heap& heap) : syntax_(syntax), heap_(heap) {}
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  // `given` are the variables of the caller, which hide those of `globals`.
  std::string Run(Dict& given, Dict& globals);
  // Of the statement that is, or was last, executed.
  int line() const { return line_; }
  Heap& heap() { return heap_; }

  // What filters and methods ask of the machine.
  Value Call(const Value& function, const Args& args);
  Value Filter(const std::string& name, const Value& value, const Args& args);
  bool Test(const std::string& name, const Value& value, const Args& args);
  // value.name and value[key], undefined where there is none.
  Value Attribute(const Value& value, const std::string& name);
  Value Item(const Value& value, const Value& key);

 private:
  enum class Flow { kNext, kBreak, kContinue };

  // What recursion costs of the stack is bounded.
  class Deeper {
   public:
    explicit Deeper(Machine& machine);
    ~Deeper() { --machine_.depth_; }
    Deeper(const Deeper&) = delete;
    Deeper& operator=(const Deeper&) = delete;

   private:
    Machine& machine_;
  };
  // Runs in a scope inside `parent` until the end of the block.
  class InScope;
  // Takes the output of a part of the template.
  class Capture;

  // Statements (machine.cc).
  Flow Execute(const Block& block);
  Flow Execute(const Stmt& stmt);
  void Print(const Value& value);
  Flow If(const Stmt& stmt);
  Flow For(const Stmt& stmt, const Value& iterable, int64_t depth);
  Flow Iterate(const Stmt& stmt, Loop& loop);
  Flow Inner(const Stmt& stmt);
  void Set(const Stmt& stmt);
  // What the inner block prints, and how it ended.
  std::string Printed(const Stmt& stmt, Flow& flow);
  Flow SetBlock(const Stmt& stmt);
  Flow FilterBlock(const Stmt& stmt);
  Flow With(const Stmt& stmt);
  void CallBlock(const Stmt& stmt);
  void Assign(const Target& target, const Value& value);
  void SetVariable(NameId id, const Value& value);
  Value MacroOf(const MacroSyntax& macro);
  Value CallMacro(const MacroSyntax& macro, Scope* scope, const Args& args);

  // Expressions (expressions.cc).
  Value Evaluate(const Expr& expr);
  Value Operation(const Expr& expr);
  Value Name(NameId id);
  Value DictOf(const Expr& expr);
  std::vector<Value> PartsOf(const Expr& expr);
  Value Slice(const Expr& expr);
  Value CompareChain(const Expr& expr);
  Value Concat(const Expr& expr);
  Value ApplyFilter(const Expr& expr, const Value& value);
  Args ArgumentsOf(const Expr& expr);

  const Syntax& syntax_;
  Heap& heap_;
  Scope* scope_ = nullptr;
  std::string* out_ = nullptr;
  int depth_ = 0, line_ = 1;
};

}  // namespace quern::jinja
