#include "exports/go_lexer.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/error.h"
#include "model/tokenizer/unicode.h"

namespace quern::go {
namespace {

// What trim markers take away, and what separates tokens.
constexpr std::string_view kSpace = " \t\r\n";

bool IsSpace(char c) { return kSpace.find(c) != std::string_view::npos; }
bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Tokens of one character that mean nothing else.
constexpr std::pair<char, Token::Kind> kMarks[] = {{'(', Token::kLeftParen},
                                                   {')', Token::kRightParen},
                                                   {',', Token::kComma},
                                                   {'=', Token::kAssign}};

}  // namespace

void Lexer::Refuse(const std::string& why) const {
  const auto line = std::count(text_.begin(), text_.begin() + static_cast<int64_t>(at_), '\n') + 1;
  Fail(ErrorKind::kUnsupported, "{}: Go template, line {}: {}", name_, line, why);
}

std::string Lexer::Text() {
  std::string out;
  while (true) {
    const size_t end = std::min(text_.find("{{", at_), text_.size());
    std::string_view part = text_.substr(at_, end - at_);
    if (trim_next_) {
      const size_t first = part.find_first_not_of(kSpace);
      part.remove_prefix(first == std::string_view::npos ? part.size() : first);
      trim_next_ = false;
    }
    at_ = end;
    const std::string_view action = text_.substr(at_);
    if (action.size() > 3 && action.starts_with("{{-") && IsSpace(action[3])) {
      part = part.substr(0, part.find_last_not_of(kSpace) + 1);
    }
    out += part;
    if (at_ == text_.size() || !PassComment()) return out;
  }
}

bool Lexer::PassComment() {
  const size_t start = at_;
  at_ += 2;
  if (At("-")) ++at_;
  PassSpace();
  if (!At("/*")) {
    at_ = start;
    return false;
  }
  const size_t end = text_.find("*/", at_);
  if (end == std::string_view::npos) Refuse("a comment has no end");
  at_ = end + 2;
  const bool spaced = at_ < text_.size() && IsSpace(text_[at_]);
  PassSpace();
  trim_next_ = spaced && At("-}}");
  if (trim_next_) ++at_;
  if (!At("}}")) Refuse("a comment must fill its action");
  at_ += 2;
  return true;
}

bool Lexer::OpenAction() {
  if (at_ == text_.size()) return false;
  at_ += 2;
  if (At("-") && at_ + 1 < text_.size() && IsSpace(text_[at_ + 1])) ++at_;
  has_peeked_ = false;
  return true;
}

void Lexer::CloseAction() {
  if (Take().kind != Token::kClose) Refuse("the action's end is wanted");
}

const Token& Lexer::Peek() {
  if (!has_peeked_) peeked_ = Scan();
  has_peeked_ = true;
  return peeked_;
}

Token Lexer::Take() {
  Token token = Peek();
  has_peeked_ = false;
  // The end of an action is taken once; what follows is text.
  return token;
}

Token Lexer::Need(Token::Kind kind, std::string_view what) {
  if (Peek().kind != kind) Refuse(std::string(what) + " is wanted");
  return Take();
}

void Lexer::PassSpace() {
  while (at_ < text_.size() && IsSpace(text_[at_])) ++at_;
}

Token Lexer::Scan() {
  const size_t before = at_;
  PassSpace();
  Token token;
  token.glued = at_ == before;
  if (at_ == text_.size()) Refuse("an action has no end");
  if (At("}}")) {
    at_ += 2;
    return token;
  }
  if (!token.glued && At("-}}")) {
    at_ += 3;
    trim_next_ = true;
    return token;
  }
  const char c = text_[at_];
  if (c == '"' || c == '`') return Quoted();
  if (IsDigit(c) || ((c == '-' || c == '+') && at_ + 1 < text_.size() && IsDigit(text_[at_ + 1]))) {
    return Number();
  }
  if (c == '.') {
    token.kind = Token::kField;
    Fields(token);
    return token;
  }
  ++at_;
  for (const auto& [mark, kind] : kMarks) {
    if (c != mark) continue;
    token.kind = kind;
    return token;
  }
  switch (c) {
    case '$':
      token.kind = Token::kVariable;
      token.text = Name();
      if (At(".")) Fields(token);
      return token;
    case ':':
      if (!At("=")) break;
      ++at_;
      token.kind = Token::kDeclare;
      return token;
    default:
      if (!IsLetter(c)) break;
      --at_;
      token.kind = Token::kWord;
      token.text = Name();
      return token;
  }
  Refuse(fmt::format("'{}' is not supported here", c));
}

std::string Lexer::Name() {
  const size_t start = at_;
  while (at_ < text_.size() && (IsLetter(text_[at_]) || IsDigit(text_[at_]))) ++at_;
  return std::string(text_.substr(start, at_ - start));
}

void Lexer::Fields(Token& token) {
  while (At(".")) {
    ++at_;
    std::string name = Name();
    if (name.empty()) {
      if (!token.fields.empty() || token.kind == Token::kVariable) Refuse("a field has no name");
      return;  // the dot alone
    }
    token.fields.push_back(std::move(name));
  }
}

Token Lexer::Number() {
  const size_t start = at_++;
  while (at_ < text_.size() && (IsLetter(text_[at_]) || IsDigit(text_[at_]) || text_[at_] == '.')) {
    ++at_;
  }
  Token token{.kind = Token::kInt};
  const char* first = text_.data() + start + (text_[start] == '+');
  const auto result = std::from_chars(first, text_.data() + at_, token.number);
  // A zero before other digits makes the number octal.
  const bool octal = first + 1 < text_.data() + at_ && first[*first == '-'] == '0';
  if (result.ec != std::errc() || result.ptr != text_.data() + at_ || octal) {
    Refuse("'" + std::string(text_.substr(start, at_ - start)) + "' is no whole number");
  }
  return token;
}

Token Lexer::Quoted() {
  Token token{.kind = Token::kText};
  const char quote = text_[at_++];
  while (true) {
    if (at_ == text_.size()) Refuse("a string has no end");
    const char c = text_[at_++];
    if (c == quote) return token;
    if (quote == '"' && c == '\n') Refuse("a string has no end on its line");
    if (quote == '"' && c == '\\') {
      Escape(token.text);
    } else if (c != '\r' || quote == '"') {  // Go drops carriage returns in raw strings
      token.text += c;
    }
  }
}

uint32_t Lexer::Hex(int digits) {
  uint32_t code = 0;
  if (text_.size() - at_ < static_cast<size_t>(digits)) Refuse("a string has no end");
  const char* const end = text_.data() + at_ + digits;
  const auto result = std::from_chars(text_.data() + at_, end, code, 16);
  if (result.ec != std::errc() || result.ptr != end) Refuse("an escape has no hexadecimal digits");
  at_ += static_cast<size_t>(digits);
  return code;
}

void Lexer::Escape(std::string& out) {
  if (at_ == text_.size()) Refuse("a string has no end");
  const char c = text_[at_++];
  constexpr std::string_view kNames = "abfnrtv\\\"", kValues = "\a\b\f\n\r\t\v\\\"";
  if (const size_t place = kNames.find(c); place != std::string_view::npos) {
    out += kValues[place];
  } else if (c == 'x') {
    out += static_cast<char>(Hex(2));
  } else if (c == 'u' || c == 'U') {
    const uint32_t code = Hex(c == 'u' ? 4 : 8);
    if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) Refuse("an escape is no character");
    AppendUtf8(code, out);
  } else {
    Refuse(fmt::format("the escape \\{} is not supported", c));
  }
}

}  // namespace quern::go
