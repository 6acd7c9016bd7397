#include "model/tokenizer/unicode.h"

#include <utf8proc.h>

#include <array>

namespace quern {
namespace {

constexpr char32_t kReplacement = 0xFFFD;
constexpr char32_t kLastChar = 0x10FFFF;

bool IsSpace(char32_t code) {
  return (code >= 0x09 && code <= 0x0D) || code == 0x20 || code == 0x85 || code == 0xA0 ||
         code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 || code == 0x2029 ||
         code == 0x202F || code == 0x205F || code == 0x3000;
}

// What Unicode 15.1 added: utf8proc 2.8 knows 15.0, the reference's tables are newer.
CharClass ClassOfNew(char32_t code) {
  if (code >= 0x2EBF0 && code <= 0x2EE5D) return CharClass::kLetter;
  if ((code >= 0x2FFC && code <= 0x2FFF) || code == 0x31EF) return CharClass::kSymbol;
  return CharClass::kOther;
}

CharClass FindClass(char32_t code) {
  if (IsSpace(code)) return CharClass::kSpace;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(code))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
      return CharClass::kLetter;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
      return CharClass::kNumber;
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
      return CharClass::kMark;
    case UTF8PROC_CATEGORY_PC:
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO:
      return CharClass::kPunctuation;
    case UTF8PROC_CATEGORY_SM:
    case UTF8PROC_CATEGORY_SC:
    case UTF8PROC_CATEGORY_SK:
    case UTF8PROC_CATEGORY_SO:
      return CharClass::kSymbol;
    default:
      return ClassOfNew(code);
  }
}

}  // namespace

CharClass ClassOf(char32_t code) {
  static const auto kAscii = [] {
    std::array<CharClass, 128> classes;
    for (char32_t c = 0; c < 128; ++c) classes[c] = FindClass(c);
    return classes;
  }();
  if (code < 128) return kAscii[code];
  return code <= kLastChar ? FindClass(code) : CharClass::kOther;
}

void AppendUtf8(char32_t code, std::string& out) {
  const auto tail = [&](int shift) { out += static_cast<char>(0x80 | ((code >> shift) & 0x3F)); };
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | (code >> 6));
    tail(0);
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | (code >> 12));
    tail(6);
    tail(0);
  } else {
    out += static_cast<char>(0xF0 | (code >> 18));
    tail(12);
    tail(6);
    tail(0);
  }
}

size_t Utf8Length(char first) {
  const auto byte = static_cast<unsigned char>(first);
  return byte < 0xC0 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

char32_t NextChar(std::string_view text, size_t* offset) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[*offset + i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) {
    ++*offset;
    return first;
  }
  const size_t length = Utf8Length(text[*offset]);
  const bool begins = first >= 0xC0 && first < 0xF8 && length <= text.size() - *offset;
  char32_t code = first & (0x7F >> length);
  bool whole = begins;
  for (size_t i = 1; whole && i < length; ++i) {
    whole = (byte(i) & 0xC0) == 0x80;
    code = (code << 6) | (byte(i) & 0x3F);
  }
  if (!whole || code > kLastChar) {
    ++*offset;
    return kReplacement;
  }
  *offset += length;
  return code;
}

Characters::Characters(std::string_view text) {
  utf8.reserve(text.size());
  codes.reserve(text.size());
  classes.reserve(text.size());
  begins.reserve(text.size() + 1);
  for (size_t offset = 0; offset < text.size();) {
    const char32_t code = NextChar(text, &offset);
    const CharClass kind = ClassOf(code);
    begins.push_back(static_cast<uint32_t>(utf8.size()));
    codes.push_back(code >= 0x80 && kind == CharClass::kSpace ? U'\v' : code);
    classes.push_back(kind);
    AppendUtf8(code, utf8);
  }
  begins.push_back(static_cast<uint32_t>(utf8.size()));
}

}  // namespace quern
