#include "model/chat/machine.h"

#include <algorithm>

#include "model/chat/text_of.h"

namespace quern::jinja {
namespace {

// Python stops at 1000 frames of its own; each level here is one to three of ours.
constexpr int kMaxDepth = 700;

bool Reads(const std::vector<NameId>& ids, const std::vector<std::string>& names,
           std::string_view name) {
  return std::any_of(ids.begin(), ids.end(),
                     [&](NameId id) { return names[static_cast<size_t>(id)] == name; });
}

}  // namespace

Machine::Deeper::Deeper(Machine& machine) : machine_(machine) {
  if (machine_.depth_ >= kMaxDepth) Refuse("maximum recursion depth exceeded");
  ++machine_.depth_;
}

class Machine::InScope {
 public:
  InScope(Machine& machine, Scope* parent) : machine_(machine), outer_(machine.scope_) {
    machine_.scope_ = machine_.heap_.New<Scope>(parent);
  }
  ~InScope() { machine_.scope_ = outer_; }
  InScope(const InScope&) = delete;
  InScope& operator=(const InScope&) = delete;

 private:
  Machine& machine_;
  Scope* outer_;
};

class Machine::Capture {
 public:
  explicit Capture(Machine& machine) : machine_(machine), outer_(machine.out_) {
    machine_.out_ = &text_;
  }
  ~Capture() { machine_.out_ = outer_; }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;
  std::string Take() { return std::move(text_); }

 private:
  Machine& machine_;
  std::string* outer_;
  std::string text_;
};

std::string Machine::Run(Dict& given, Dict& globals) {
  scope_ = heap_.New<Scope>(nullptr);
  for (size_t i = 0; i < syntax_.names.size(); ++i) {
    const std::string_view name = syntax_.names[i];
    Value* value = given.Find(name);
    if (value == nullptr) value = globals.Find(name);
    if (value != nullptr) scope_->variables.emplace_back(static_cast<NameId>(i), *value);
  }
  scope_ = heap_.New<Scope>(scope_);
  std::string text;
  out_ = &text;
  Execute(syntax_.body);
  return text;
}

Machine::Flow Machine::Execute(const Block& block) {
  for (const auto& stmt : block) {
    const Flow flow = Execute(*stmt);
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Machine::Flow Machine::Execute(const Stmt& stmt) {
  const Deeper deeper(*this);
  heap_.Step();
  line_ = stmt.line;
  switch (stmt.kind) {
    case StmtKind::kText:
      heap_.Charge(stmt.text.size());
      *out_ += stmt.text;
      return Flow::kNext;
    case StmtKind::kPrint:
      for (const ExprPtr& expr : stmt.exprs) Print(Evaluate(*expr));
      return Flow::kNext;
    case StmtKind::kIf:
      return If(stmt);
    case StmtKind::kFor:
      return For(stmt, stmt.recursive ? Value() : Evaluate(*stmt.exprs[0]), 0);
    case StmtKind::kSet:
      Set(stmt);
      return Flow::kNext;
    case StmtKind::kSetBlock:
      return SetBlock(stmt);
    case StmtKind::kMacro:
      SetVariable(stmt.macro->id, MacroOf(*stmt.macro));
      return Flow::kNext;
    case StmtKind::kCallBlock:
      CallBlock(stmt);
      return Flow::kNext;
    case StmtKind::kFilter:
      return FilterBlock(stmt);
    case StmtKind::kWith:
      return With(stmt);
    case StmtKind::kScope:
      return Inner(stmt);
    case StmtKind::kBreak:
      return Flow::kBreak;
    case StmtKind::kContinue:
      return Flow::kContinue;
  }
  return Flow::kNext;
}

void Machine::Print(const Value& value) {
  if (value.Is(Kind::kString)) {
    heap_.Charge(value.text().size());
    *out_ += value.text();
  } else {
    AppendStr(heap_, value, *out_);
  }
}

Machine::Flow Machine::If(const Stmt& stmt) {
  for (size_t i = 0; i < stmt.exprs.size(); ++i) {
    if (Truth(Evaluate(*stmt.exprs[i]))) return Execute(stmt.blocks[i]);
  }
  return stmt.blocks.size() > stmt.exprs.size() ? Execute(stmt.blocks.back()) : Flow::kNext;
}

Machine::Flow Machine::For(const Stmt& stmt, const Value& iterable, int64_t depth) {
  Loop& loop = *heap_.New<Loop>();
  loop.depth0 = depth;
  Scope* const outer = scope_;
  if (stmt.exprs[1]) {
    loop.keeps = [this, &stmt, outer](const Value& item) {
      const InScope scope(*this, outer);
      Assign(stmt.targets[0], item);
      return Truth(Evaluate(*stmt.exprs[1]));
    };
  }
  if (stmt.recursive) {
    loop.again = [this, &stmt, outer, depth](const Args& args) {
      if (args.at.size() != 1 || !args.named.empty()) Refuse("loop() takes one argument");
      const Deeper deeper(*this);
      Scope* const caller = scope_;
      scope_ = outer;
      Capture capture(*this);
      For(stmt, args.at[0], depth + 1);
      scope_ = caller;
      return heap_.Str(capture.Take());
    };
  }
  // Only the outermost call of a recursive loop has not evaluated its items.
  const bool first = stmt.recursive && depth == 0;
  loop.source = Items(heap_, first ? Evaluate(*stmt.exprs[0]) : iterable);
  return Iterate(stmt, loop);
}

Machine::Flow Machine::Iterate(const Stmt& stmt, Loop& loop) {
  static constexpr std::string_view kLoop = "loop";
  const auto& names = syntax_.names;
  const auto named = std::find(names.begin(), names.end(), kLoop);
  // As the reference does it: the else part runs unless an iteration came to its end.
  bool completed = false;
  while (loop.Next()) {
    heap_.Step();
    const InScope scope(*this, scope_);
    Assign(stmt.targets[0], loop.current);
    if (named != names.end()) {
      SetVariable(static_cast<NameId>(named - names.begin()), Value(Kind::kLoop, &loop));
    }
    const Flow flow = Execute(stmt.blocks[0]);
    if (flow == Flow::kBreak) break;
    completed |= flow == Flow::kNext;
  }
  if (completed || stmt.blocks.size() < 2) return Flow::kNext;
  const InScope scope(*this, scope_);
  return Execute(stmt.blocks[1]);
}

Machine::Flow Machine::Inner(const Stmt& stmt) {
  const InScope scope(*this, scope_);
  return Execute(stmt.blocks[0]);
}

void Machine::Set(const Stmt& stmt) { Assign(stmt.targets[0], Evaluate(*stmt.exprs[0])); }

std::string Machine::Printed(const Stmt& stmt, Flow& flow) {
  Capture capture(*this);
  flow = Inner(stmt);
  return capture.Take();
}

Machine::Flow Machine::SetBlock(const Stmt& stmt) {
  Flow flow;
  std::string text = Printed(stmt, flow);
  if (flow != Flow::kNext) return flow;
  Value value = heap_.Str(std::move(text));
  if (stmt.exprs[0]) value = ApplyFilter(*stmt.exprs[0], value);
  Assign(stmt.targets[0], value);
  return Flow::kNext;
}

Machine::Flow Machine::FilterBlock(const Stmt& stmt) {
  Flow flow;
  std::string text = Printed(stmt, flow);
  if (flow == Flow::kNext) Print(ApplyFilter(*stmt.exprs[0], heap_.Str(std::move(text))));
  return flow;
}

Machine::Flow Machine::With(const Stmt& stmt) {
  std::vector<Value> values;
  for (const ExprPtr& expr : stmt.exprs) values.push_back(Evaluate(*expr));
  const InScope scope(*this, scope_);
  for (size_t i = 0; i < values.size(); ++i) Assign(stmt.targets[i], values[i]);
  return Execute(stmt.blocks[0]);
}

void Machine::CallBlock(const Stmt& stmt) {
  const Expr& call = *stmt.exprs[0];
  Args args = ArgumentsOf(call);
  for (const auto& named : args.named) {
    if (named.first == "caller") Refuse("a call block's call has an argument 'caller'");
  }
  args.named.emplace_back("caller", MacroOf(*stmt.macro));
  Print(Call(Evaluate(*call.parts[0]), args));
}

void Machine::Assign(const Target& target, const Value& value) {
  if (target.form == Target::kName) return SetVariable(target.id, value);
  if (target.form == Target::kAttribute) {
    const Value space = Name(target.id);
    if (!space.Is(Kind::kNamespace)) Refuse("cannot assign attribute on non-namespace object");
    space.dict().Set(heap_, heap_.Str(target.attribute), value);
    return;
  }
  const std::vector<Value> items =
      value.Is(Kind::kUndefined) ? std::vector<Value>() : Items(heap_, value);
  if (items.size() != target.parts.size()) {
    Refuse("{} values to unpack, expected {}", items.size(), target.parts.size());
  }
  for (size_t i = 0; i < items.size(); ++i) Assign(target.parts[i], items[i]);
}

void Machine::SetVariable(NameId id, const Value& value) {
  heap_.Step(static_cast<int64_t>(scope_->variables.size() / 16));
  for (auto& variable : scope_->variables) {
    if (variable.first == id) {
      variable.second = value;
      return;
    }
  }
  heap_.ChargeValues(2);
  scope_->variables.emplace_back(id, value);
}

Value Machine::MacroOf(const MacroSyntax& macro) {
  Scope* const scope = scope_;
  return heap_.Function(macro.name, [this, &macro, scope](const Args& args) {
    return CallMacro(macro, scope, args);
  });
}

Value Machine::CallMacro(const MacroSyntax& macro, Scope* scope, const Args& args) {
  const Deeper deeper(*this);
  Args rest = args;
  const auto take = [&rest](std::string_view name, Value& value) {
    const auto found = std::find_if(rest.named.begin(), rest.named.end(),
                                    [&](const auto& one) { return one.first == name; });
    if (found == rest.named.end()) return false;
    value = found->second;
    rest.named.erase(found);
    return true;
  };
  const InScope inner(*this, scope);
  const size_t count = macro.parameters.size(), required = count - macro.defaults.size();
  for (size_t i = 0; i < count; ++i) {
    const std::string& name = syntax_.names[static_cast<size_t>(macro.parameters[i])];
    Value value;
    if (i < args.at.size()) {
      value = args.at[i];
    } else if (!take(name, value)) {
      value = i >= required ? Evaluate(*macro.defaults[i - required])
                            : heap_.Undefined("parameter '" + name + "' was not provided");
    }
    SetVariable(macro.parameters[i], value);
  }
  const auto define = [&](std::string_view name, const Value& value) {
    const auto place = std::find(syntax_.names.begin(), syntax_.names.end(), name);
    if (place != syntax_.names.end()) {
      SetVariable(static_cast<NameId>(place - syntax_.names.begin()), value);
    }
  };
  if (macro.uses_caller && !Reads(macro.parameters, syntax_.names, "caller")) {
    Value caller = heap_.Undefined("No caller defined");
    take("caller", caller);
    define("caller", caller);
  }
  if (macro.uses_kwargs && !Reads(macro.parameters, syntax_.names, "kwargs")) {
    Dict* const kwargs = heap_.New<Dict>();
    for (const auto& [name, value] : rest.named) kwargs->Set(heap_, heap_.Str(name), value);
    define("kwargs", Value(Kind::kDict, kwargs));
  } else if (!rest.named.empty()) {
    Refuse("macro '{}' takes no keyword argument '{}'", macro.name, rest.named[0].first);
  }
  const std::vector<Value> more(args.at.begin() + std::min(count, args.at.size()), args.at.end());
  if (macro.uses_varargs && !Reads(macro.parameters, syntax_.names, "varargs")) {
    define("varargs", heap_.TupleOf(more));
  } else if (!more.empty()) {
    Refuse("macro '{}' takes not more than {} argument(s)", macro.name, count);
  }
  Capture capture(*this);
  const int line = line_;
  Execute(macro.body);
  line_ = line;
  return heap_.Str(capture.Take());
}

}  // namespace quern::jinja
