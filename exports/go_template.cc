#include "exports/go_template.h"

#include <utility>
#include <vector>

#include "base/error.h"
#include "exports/go_syntax.h"
#include "exports/go_value.h"

namespace quern {
namespace {

using go::Expr;
using go::Node;
using go::Refusal;
using go::Value;

constexpr size_t kMaxOutput = size_t{1} << 26;
constexpr int64_t kMaxSteps = 20'000'000;
// A template that calls itself; Go itself goes down to 100000.
constexpr int kMaxDepth = 2000;

class Machine {
 public:
  Machine(const go::Syntax& syntax, const OllamaValues& values)
      : syntax_(syntax), values_(values) {}

  std::string Run() {
    const Value root{.kind = Value::kRoot};
    Frame frame;
    frame.variables.emplace_back("", root);
    List(syntax_.main, frame);
    return std::move(out_);
  }

 private:
  struct Frame {
    Value dot = {};
    std::vector<std::pair<std::string, Value>> variables = {};
  };

  void List(const std::vector<Node>& nodes, Frame& frame) {
    for (const Node& node : nodes) Step(node, frame);
  }

  // The nodes of a block: what they declare ends with it.
  void Block(const std::vector<Node>& nodes, Frame& frame) {
    const size_t mark = frame.variables.size();
    List(nodes, frame);
    frame.variables.resize(mark);
  }

  void Step(const Node& node, Frame& frame) {
    if (++steps_ > kMaxSteps) throw Refusal{"it takes too many steps"};
    switch (node.kind) {
      case Node::kText:
        return Write(node.text);
      case Node::kPrint:
        return Write(go::Print(Eval(node.expr, frame)));
      case Node::kDeclare:
        frame.variables.emplace_back(node.text, Eval(node.expr, frame));
        return;
      case Node::kAssign:
        Variable(node.text, frame) = Eval(node.expr, frame);
        return;
      case Node::kIf: {
        const size_t mark = frame.variables.size();
        Block(go::Truth(Eval(node.expr, frame)) ? node.body : node.otherwise, frame);
        frame.variables.resize(mark);
        return;
      }
      case Node::kRange:
        return Range(node, frame);
      case Node::kTemplate:
        return Template(node, frame);
    }
  }

  void Range(const Node& node, Frame& frame) {
    const Value list = Eval(node.expr, frame);
    if (list.kind != Value::kMessages) throw Refusal{"range: over what is no list"};
    if (list.messages.empty()) return Block(node.otherwise, frame);
    const size_t mark = frame.variables.size();
    const Value dot = frame.dot;
    for (size_t i = 0; i < list.messages.size(); ++i) {
      frame.dot = {.kind = Value::kMessage, .message = &list.messages[i]};
      if (!node.index.empty()) {
        frame.variables.emplace_back(node.index, Value::Int(static_cast<int64_t>(i)));
      }
      if (!node.element.empty()) frame.variables.emplace_back(node.element, frame.dot);
      List(node.body, frame);
      frame.variables.resize(mark);
    }
    frame.dot = dot;
  }

  void Template(const Node& node, Frame& frame) {
    const auto found = syntax_.defined.find(node.text);
    if (found == syntax_.defined.end())
      throw Refusal{"template '" + node.text + "' is not defined"};
    if (++depth_ > kMaxDepth) throw Refusal{"templates call themselves too deep"};
    Value dot = Eval(node.expr, frame);
    Frame inner{.dot = dot, .variables = {{"", dot}}};
    List(found->second, inner);
    --depth_;
  }

  Value& Variable(const std::string& name, Frame& frame) {
    for (auto it = frame.variables.rbegin(); it != frame.variables.rend(); ++it) {
      if (it->first == name) return it->second;
    }
    throw Refusal{"undefined variable $" + name};
  }

  Value Eval(const Expr& expr, Frame& frame) {
    if (++steps_ > kMaxSteps) throw Refusal{"it takes too many steps"};
    switch (expr.kind) {
      case Expr::kDot:
        return Fields(frame.dot, expr.fields);
      case Expr::kVariable:
        return Fields(Variable(expr.text, frame), expr.fields);
      case Expr::kText:
        return Value::Text(expr.text);
      case Expr::kInt:
        return Value::Int(expr.number);
      case Expr::kBool:
        return Value::Bool(expr.number != 0);
      case Expr::kCall:
        return CallOf(expr, frame);
    }
    QUERN_CHECK(false);
  }

  Value CallOf(const Expr& expr, Frame& frame) {
    if (expr.text == "currentDate") return Value::Text(values_.date);
    if (expr.text == "and" || expr.text == "or") {
      if (expr.args.empty()) throw Refusal{expr.text + ": no arguments"};
      Value value;
      for (const Expr& arg : expr.args) {
        value = Eval(arg, frame);
        if (go::Truth(value) == (expr.text == "or")) break;
      }
      return value;
    }
    std::vector<Value> args = {};
    for (const Expr& arg : expr.args) args.push_back(Eval(arg, frame));
    return go::Call(expr.text, args);
  }

  Value Fields(Value value, const std::vector<std::string>& fields) const {
    for (const std::string& field : fields) {
      if (value.kind == Value::kRoot && field == "System") {
        value = Value::Text(values_.system);
      } else if (value.kind == Value::kRoot && field == "Messages") {
        value = {.kind = Value::kMessages, .messages = values_.messages};
      } else if (value.kind == Value::kMessage && field == "Role") {
        value = Value::Text(value.message->role);
      } else if (value.kind == Value::kMessage && field == "Content") {
        value = Value::Text(value.message->content);
      } else {
        throw Refusal{"the field ." + field + " is not known here"};
      }
    }
    return value;
  }

  void Write(std::string_view text) {
    if (out_.size() + text.size() > kMaxOutput) throw Refusal{"it writes too much"};
    out_ += text;
  }

  const go::Syntax& syntax_;
  const OllamaValues& values_;
  std::string out_;
  int64_t steps_ = 0;
  int depth_ = 0;
};

}  // namespace

struct GoTemplate::Parsed {
  std::string name = {};
  go::Syntax syntax;
};

GoTemplate::GoTemplate(std::unique_ptr<const Parsed> parsed) : parsed_(std::move(parsed)) {}
GoTemplate::~GoTemplate() = default;
GoTemplate::GoTemplate(GoTemplate&&) noexcept = default;
GoTemplate& GoTemplate::operator=(GoTemplate&&) noexcept = default;

GoTemplate GoTemplate::Parse(std::string_view text, std::string name) {
  auto parsed = std::make_unique<Parsed>();
  parsed->syntax = go::ParseGoTemplate(text, name);
  parsed->name = std::move(name);
  return GoTemplate(std::move(parsed));
}

std::string GoTemplate::Render(const OllamaValues& values) const {
  try {
    return Machine(parsed_->syntax, values).Run();
  } catch (const Refusal& refusal) {
    Fail(ErrorKind::kBadInput, "{}: Go template: {}", parsed_->name, refusal.why);
  }
}

OllamaValues CollateForOllama(const Conversation& messages, std::string date) {
  OllamaValues values{.date = std::move(date)};
  bool has_system = false;
  for (const ChatMessage& message : messages) {
    if (message.role == "system") {
      if (has_system) values.system += "\n\n";
      values.system += message.content;
      has_system = true;
    }
    if (!values.messages.empty() && values.messages.back().role == message.role &&
        message.role != "tool") {
      values.messages.back().content += "\n\n" + message.content;
    } else {
      values.messages.push_back(message);
    }
  }
  return values;
}

}  // namespace quern
