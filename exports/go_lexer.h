#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace quern::go {

struct Token {
  enum Kind {
    kClose,  // the end of an action
    kWord,
    kField,     // . or .Role.Name
    kVariable,  // $ or $name, with fields behind it
    kText,
    kInt,
    kLeftParen,
    kRightParen,
    kComma,
    kDeclare,
    kAssign,
  };
  Kind kind = kClose;
  std::string text = {};
  std::vector<std::string> fields = {};
  int64_t number = 0;
  bool glued = false;  // nothing stands between it and the token before
};

// Cuts a template into text and actions, and actions into tokens. Errors are kUnsupported: name,
// line, and what is not known.
class Lexer {
 public:
  Lexer(std::string_view text, std::string name) : text_(text), name_(std::move(name)) {}

  // The text up to the next action or the end, without what trim markers take away.
  std::string Text();
  // Steps over "{{"; false at the end of the template. Comments have been passed by Text.
  bool OpenAction();
  // Steps over what must be the action's end.
  void CloseAction();

  const Token& Peek();
  Token Take();
  Token Need(Token::Kind kind, std::string_view what);

  [[noreturn]] void Refuse(const std::string& why) const;

 private:
  bool At(std::string_view what) const { return text_.substr(at_).starts_with(what); }
  bool PassComment();
  void PassSpace();
  Token Scan();
  Token Quoted();
  Token Number();
  void Fields(Token& token);
  std::string Name();
  uint32_t Hex(int digits);
  void Escape(std::string& out);

  std::string_view text_;
  std::string name_;
  size_t at_ = 0;
  bool trim_next_ = false;  // the action before ended with -}}
  bool has_peeked_ = false;
  Token peeked_;
};

}  // namespace quern::go
