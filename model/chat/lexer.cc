#include "model/chat/lexer.h"

#include <charconv>
#include <optional>

#include "model/chat/heap.h"
#include "model/chat/numbers.h"
#include "model/chat/unicode_text.h"

namespace quern::jinja {
namespace {

bool IsNameStart(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}
bool IsDigitByte(char c) { return c >= '0' && c <= '9'; }

// Line ends as "\n", and none at the very end.
std::string Normalized(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      out += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      out += source[i];
    }
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : text_(Normalized(source)) {}

  std::vector<Token> Run() {
    while (at_ < text_.size()) Root();
    Add(TokenKind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void Bad(std::string_view what) { Refuse("line {}: {}", line_, what); }

  bool Sees(std::string_view what, size_t offset = 0) const {
    return at_ + offset <= text_.size() && text_.compare(at_ + offset, what.size(), what) == 0;
  }
  char At(size_t offset = 0) const {
    return at_ + offset < text_.size() ? text_[at_ + offset] : '\0';
  }

  void Add(TokenKind kind, std::string text) {
    Token token;
    token.kind = kind;
    token.line = line_;
    token.text = std::move(text);
    tokens_.push_back(std::move(token));
  }

  void Advance(size_t count) {
    for (size_t i = 0; i < count; ++i) line_ += text_[at_ + i] == '\n';
    at_ += count;
    line_starting_ = at_ > 0 && text_[at_ - 1] == '\n';
  }

  void SkipSpace() {
    const std::string_view rest = std::string_view(text_).substr(at_);
    Advance(rest.size() - StripSpace(rest, Side::kLeft).size());
  }

  // Where the next tag begins, or the end.
  size_t NextTag() const {
    for (size_t tag = text_.find('{', at_); tag != text_.npos; tag = text_.find('{', tag + 1)) {
      const char next = tag + 1 < text_.size() ? text_[tag + 1] : '\0';
      if (next == '%' || next == '{' || next == '#') return tag;
    }
    return text_.size();
  }

  // Adds the text up to `end`, where a tag with this sign begins, without what the tag strips.
  void AddData(size_t end, char sign, bool is_print) {
    std::string_view data = std::string_view(text_).substr(at_, end - at_);
    if (sign == '-') {
      data = StripSpace(data, Side::kRight);
    } else if (sign != '+' && !is_print) {
      const size_t newline = data.rfind('\n');
      const size_t start = newline == data.npos ? 0 : newline + 1;
      if ((start > 0 || line_starting_) && StripSpace(data.substr(start)).empty()) {
        data = data.substr(0, start);
      }
    }
    if (!data.empty()) Add(TokenKind::kData, std::string(data));
  }

  void Root() {
    const size_t tag = NextTag();
    if (tag == text_.size()) {
      Add(TokenKind::kData, text_.substr(at_));
      at_ = tag;
      return;
    }
    const char kind = text_[tag + 1];
    char sign = tag + 2 < text_.size() ? text_[tag + 2] : '\0';
    if (sign != '-' && sign != '+') sign = '\0';
    AddData(tag, sign, kind == '{');
    Advance(tag - at_ + 2 + (sign != '\0'));
    if (kind == '#') return Comment();
    if (kind == '%' && Raw()) return;
    Add(kind == '{' ? TokenKind::kPrintBegin : TokenKind::kBlockBegin, "");
    InTag(kind == '{');
  }

  void Comment() {
    const size_t end = text_.find("#}", at_);
    if (end == text_.npos) Bad("Missing end of comment tag");
    const char sign = end > at_ ? text_[end - 1] : '\0';
    Advance(end + 2 - at_);
    AfterBlock(sign);
  }

  // What follows the end of a block or comment that has this sign.
  void AfterBlock(char sign) {
    if (sign == '-') {
      SkipSpace();
    } else if (sign != '+' && At() == '\n') {
      Advance(1);
    }
  }

  // Behind "{%" and its sign: a raw block, if it is one.
  bool Raw() {
    const std::string_view rest = std::string_view(text_).substr(at_);
    std::string_view tail = StripSpace(rest, Side::kLeft);
    if (!tail.starts_with("raw")) return false;
    tail = StripSpace(tail.substr(3), Side::kLeft);
    const bool strips = tail.starts_with("-%}");
    if (!strips && !tail.starts_with("%}")) return false;
    Advance(rest.size() - tail.size() + (strips ? 3 : 2));
    if (strips) SkipSpace();
    for (size_t tag = text_.find("{%", at_); tag != text_.npos; tag = text_.find("{%", tag + 1)) {
      if (EndRaw(tag)) return true;
    }
    Bad("Missing end of raw directive");
  }

  // Ends the raw block if "{%" at `tag` is of endraw.
  bool EndRaw(size_t tag) {
    std::string_view rest = std::string_view(text_).substr(tag + 2);
    char sign = '\0';
    if (!rest.empty() && (rest[0] == '-' || rest[0] == '+')) {
      sign = rest[0];
      rest.remove_prefix(1);
    }
    rest = StripSpace(rest, Side::kLeft);
    if (!rest.starts_with("endraw")) return false;
    rest = StripSpace(rest.substr(6), Side::kLeft);
    char after = '\0';
    if (!rest.empty() && (rest[0] == '-' || rest[0] == '+')) {
      after = rest[0];
      rest.remove_prefix(1);
    }
    if (!rest.starts_with("%}")) return false;
    AddData(tag, sign, false);
    Advance(text_.size() - rest.size() + 2 - at_);
    AfterBlock(after);
    return true;
  }

  // The tokens up to the tag's end.
  void InTag(bool is_print) {
    std::string open;
    while (at_ < text_.size()) {
      if (open.empty() && EndTag(is_print)) return;
      const char c = At();
      if (IsDigitByte(c)) {
        Number();
      } else if (IsNameStart(c) && !AtUnicodeSpace()) {
        size_t end = at_;
        while (end < text_.size() && (IsNameStart(text_[end]) || IsDigitByte(text_[end]))) ++end;
        Add(TokenKind::kName, text_.substr(at_, end - at_));
        Advance(end - at_);
      } else if (c == '"' || c == '\'') {
        String(c);
      } else if (const size_t before = at_; SkipSpace(), at_ == before) {
        Operator(open);
      }
    }
  }

  bool AtUnicodeSpace() const {
    if (static_cast<unsigned char>(At()) < 0x80) return false;
    const std::u32string code = Decode(std::string_view(text_).substr(at_, Utf8Width(At())));
    return !code.empty() && IsSpace(code[0]);
  }

  bool EndTag(bool is_print) {
    const std::string_view end = is_print ? "}}" : "%}";
    const char sign = At() == '-' || (At() == '+' && !is_print) ? At() : '\0';
    if (!Sees(end, sign != '\0')) return false;
    Add(is_print ? TokenKind::kPrintEnd : TokenKind::kBlockEnd, "");
    Advance(2 + (sign != '\0'));
    if (!is_print) {
      AfterBlock(sign);
    } else if (sign == '-') {
      SkipSpace();
    }
    return true;
  }

  // Digits of the base, with single underscores between them; the length.
  size_t Digits(size_t offset, int base) const {
    size_t length = 0;
    for (;;) {
      const size_t next = offset + length + (length > 0 && At(offset + length) == '_');
      if (DigitValue(At(next)) >= base) return length;
      length = next + 1 - offset;
    }
  }

  void Number() {
    const bool after_dot = at_ > 0 && text_[at_ - 1] == '.';
    size_t length = Digits(0, 10);
    bool is_float = false;
    if (!after_dot) {
      size_t end = length;
      if (At(end) == '.' && Digits(end + 1, 10) > 0)
        end += 1 + Digits(end + 1, 10), is_float = true;
      if (At(end) == 'e' || At(end) == 'E') {
        const size_t sign = At(end + 1) == '+' || At(end + 1) == '-';
        const size_t digits = Digits(end + 1 + sign, 10);
        if (digits > 0) end += 1 + sign + digits, is_float = true;
      }
      if (is_float) length = end;
    }
    int base = 10;
    if (!is_float && At() == '0') {
      const char mark = static_cast<char>(At(1) | 0x20);
      const int marked = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 0;
      if (marked != 0 && Digits(2, marked) > 0) {
        base = marked;
        length = 2 + Digits(2, marked);
      } else {
        length = Digits(0, 1);
      }
    }
    const std::string digits = text_.substr(at_, length);
    Add(is_float ? TokenKind::kFloat : TokenKind::kInteger, digits);
    if (is_float) {
      tokens_.back().real = *ParseFloat(digits);
    } else {
      const auto number = ParseInt(base == 10 ? digits : digits.substr(2), base);
      if (!number) Bad("an integer is too large");
      tokens_.back().integer = *number;
    }
    Advance(length);
  }

  void String(char quote) {
    size_t end = at_ + 1;
    while (end < text_.size() && text_[end] != quote) end += text_[end] == '\\' ? 2 : 1;
    if (end >= text_.size()) Bad(fmt::format("unexpected char '{}'", quote));
    Add(TokenKind::kString, Unescaped(std::string_view(text_).substr(at_ + 1, end - at_ - 1)));
    Advance(end + 1 - at_);
  }

  std::string Unescaped(std::string_view raw) {
    std::string out;
    for (size_t i = 0; i < raw.size(); ++i) {
      if (raw[i] != '\\') {
        out += raw[i];
        continue;
      }
      const char c = raw[++i];
      static constexpr std::string_view kFrom = "abfnrtv\\'\"", kTo = "\a\b\f\n\r\t\v\\'\"";
      if (const size_t known = kFrom.find(c); known != kFrom.npos) {
        out += kTo[known];
      } else if (c == 'x' || c == 'u' || c == 'U') {
        const size_t width = c == 'x' ? 2 : c == 'u' ? 4 : 8;
        AppendCode(out, raw.substr(i + 1, width), width, 16);
        i += width;
      } else if (c >= '0' && c <= '7') {
        size_t width = 1;
        while (width < 3 && i + width < raw.size() && DigitValue(raw[i + width]) < 8) ++width;
        AppendCode(out, raw.substr(i, width), width, 8);
        i += width - 1;
      } else if (c == 'N') {
        Bad("characters by name (\\N) are not supported");
      } else if (c != '\n') {
        out += '\\';
        out += c;
      }
    }
    return out;
  }

  void AppendCode(std::string& out, std::string_view digits, size_t width, int base) {
    uint32_t code = 0;
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), code, base);
    if (digits.size() != width || read.ptr != digits.data() + width || code > 0x10FFFF ||
        (code >= 0xD800 && code < 0xE000)) {
      Bad("a string has an escape that is no character");
    }
    AppendUtf8(out, code);
  }

  void Operator(std::string& open) {
    static constexpr std::string_view kDouble[] = {"//", "**", "==", "!=", ">=", "<="};
    static constexpr std::string_view kSingle = "+-/*%~[](){}<>=.:|,;";
    size_t length = kSingle.find(At()) != kSingle.npos ? 1 : 0;
    for (const std::string_view two : kDouble) length = Sees(two) ? 2 : length;
    if (length == 0) Bad(fmt::format("unexpected char '{}'", At()));
    const char c = At();
    if (c == '(' || c == '[' || c == '{') open += c == '(' ? ')' : c == '[' ? ']' : '}';
    if (c == ')' || c == ']' || c == '}') {
      if (open.empty() || open.back() != c) Bad(fmt::format("unexpected '{}'", c));
      open.pop_back();
    }
    Add(TokenKind::kOperator, text_.substr(at_, length));
    Advance(length);
  }

  std::string text_;
  size_t at_ = 0;
  int line_ = 1;
  bool line_starting_ = true;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> Lex(std::string_view source) { return Lexer(source).Run(); }

}  // namespace quern::jinja
