#include "model/chat/unicode_text.h"

#include <utf8proc.h>

#include <algorithm>

namespace quern::jinja {
namespace {

utf8proc_category_t Category(char32_t code) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(code));
}

char32_t CodeAt(std::string_view text, size_t at, size_t* width) {
  utf8proc_int32_t code = -1;
  const auto read =
      utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + at,
                       static_cast<utf8proc_ssize_t>(std::min<size_t>(text.size() - at, 4)), &code);
  *width = read > 0 ? static_cast<size_t>(read) : 1;
  return read > 0 ? static_cast<char32_t>(code) : U'\uFFFD';
}

// Upper case that takes more than one code point (Unicode's SpecialCasing, the unconditional ones
// that occur in running text); title case keeps the rest of it small.
struct Special {
  char32_t code;
  std::u32string_view upper, title;
};
constexpr Special kSpecials[] = {
    {U'ß', U"SS", U"Ss"}, {U'ŉ', U"ʼN", U"ʼN"},   {U'ﬀ', U"FF", U"Ff"},   {U'ﬁ', U"FI", U"Fi"},
    {U'ﬂ', U"FL", U"Fl"}, {U'ﬃ', U"FFI", U"Ffi"}, {U'ﬄ', U"FFL", U"Ffl"}, {U'ﬅ', U"ST", U"St"},
    {U'ﬆ', U"ST", U"St"}, {U'և', U"ԵՒ", U"Եւ"},
};

void AppendUpper(std::u32string& out, char32_t code, bool title) {
  for (const Special& special : kSpecials) {
    if (special.code == code) {
      out += title ? special.title : special.upper;
      return;
    }
  }
  const auto plain = static_cast<utf8proc_int32_t>(code);
  out += static_cast<char32_t>(title ? utf8proc_totitle(plain) : utf8proc_toupper(plain));
}

bool IsCased(char32_t code) { return IsUpper(code) || IsLower(code) || IsTitle(code); }

// A sigma at the end of a word has a form of its own.
bool EndsWord(std::u32string_view codes, size_t at) {
  return at > 0 && IsLetter(codes[at - 1]) && (at + 1 == codes.size() || !IsLetter(codes[at + 1]));
}

void AppendLower(std::u32string& out, std::u32string_view codes, size_t at) {
  const char32_t code = codes[at];
  if (code == U'İ') {
    out += U"i\u0307";
  } else if (code == U'Σ') {
    out += EndsWord(codes, at) ? U'ς' : U'σ';
  } else {
    out += static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(code)));
  }
}

bool IsAscii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

template <typename Strips>
std::string_view StripWhere(std::string_view text, Side side, Strips strips) {
  while (side != Side::kRight && !text.empty()) {
    size_t width;
    if (!strips(CodeAt(text, 0, &width))) break;
    text.remove_prefix(width);
  }
  while (side != Side::kLeft && !text.empty()) {
    size_t start = text.size() - 1, width;
    while (start > 0 && (text[start] & 0xC0) == 0x80) --start;
    if (!strips(CodeAt(text, start, &width))) break;
    text = text.substr(0, start);
  }
  return text;
}

}  // namespace

bool IsValidUtf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    if (static_cast<unsigned char>(text[at]) < 0x80) {
      ++at;
      continue;
    }
    utf8proc_int32_t code;
    const auto read = utf8proc_iterate(
        reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + at,
        static_cast<utf8proc_ssize_t>(std::min<size_t>(text.size() - at, 4)), &code);
    if (read <= 0) return false;
    at += static_cast<size_t>(read);
  }
  return true;
}

void AppendUtf8(std::string& out, char32_t code) {
  utf8proc_uint8_t bytes[4];
  const auto width = utf8proc_encode_char(static_cast<utf8proc_int32_t>(code), bytes);
  out.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(width));
}

std::u32string Decode(std::string_view text) {
  std::u32string codes;
  codes.reserve(text.size());
  for (size_t at = 0, width; at < text.size(); at += width) codes += CodeAt(text, at, &width);
  return codes;
}

std::string Encode(std::u32string_view codes) {
  std::string text;
  text.reserve(codes.size());
  for (const char32_t code : codes) AppendUtf8(text, code);
  return text;
}

size_t CountCodes(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

size_t ByteOf(std::string_view text, size_t index) {
  size_t at = 0;
  while (index > 0 && at < text.size()) {
    at += Utf8Width(text[at]);
    --index;
  }
  return std::min(at, text.size());
}

size_t Utf8Width(char lead) {
  const auto byte = static_cast<unsigned char>(lead);
  return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

bool IsSpace(char32_t code) {
  return (code >= 9 && code <= 13) || (code >= 0x1C && code <= 0x20) || code == 0x85 ||
         code == 0xA0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 ||
         code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

bool IsLineEnd(char32_t code) {
  return (code >= 10 && code <= 13) || (code >= 0x1C && code <= 0x1E) || code == 0x85 ||
         code == 0x2028 || code == 0x2029;
}

bool IsPrintable(char32_t code) {
  if (code == U' ') return true;
  switch (Category(code)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return false;
    default:
      return true;
  }
}

bool IsLetter(char32_t code) {
  const auto category = Category(code);
  return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}

bool IsDecimal(char32_t code) { return Category(code) == UTF8PROC_CATEGORY_ND; }

bool IsDigit(char32_t code) {
  const bool superscript = code == 0xB2 || code == 0xB3 || code == 0xB9 || code == 0x2070 ||
                           (code >= 0x2074 && code <= 0x2079) || (code >= 0x2080 && code <= 0x2089);
  return IsDecimal(code) || superscript || (code >= 0x2460 && code <= 0x2468);
}

bool IsNumeric(char32_t code) {
  const auto category = Category(code);
  return category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO;
}

bool IsUpper(char32_t code) { return Category(code) == UTF8PROC_CATEGORY_LU; }
bool IsLower(char32_t code) {
  return Category(code) == UTF8PROC_CATEGORY_LL || code == 0xAA || code == 0xBA;
}
bool IsTitle(char32_t code) { return Category(code) == UTF8PROC_CATEGORY_LT; }

std::string Upper(std::string_view text) {
  if (IsAscii(text)) {
    std::string out(text);
    for (char& c : out) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
    return out;
  }
  std::u32string out;
  for (const char32_t code : Decode(text)) AppendUpper(out, code, false);
  return Encode(out);
}

std::string Lower(std::string_view text) {
  if (IsAscii(text)) {
    std::string out(text);
    for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    return out;
  }
  const std::u32string codes = Decode(text);
  std::u32string out;
  for (size_t at = 0; at < codes.size(); ++at) AppendLower(out, codes, at);
  return Encode(out);
}

std::string Capitalize(std::string_view text) {
  const std::u32string codes = Decode(text);
  std::u32string out;
  for (size_t at = 0; at < codes.size(); ++at) {
    if (at == 0) {
      AppendUpper(out, codes[at], true);
    } else {
      AppendLower(out, codes, at);
    }
  }
  return Encode(out);
}

std::string TitleWords(std::string_view text) {
  const std::u32string codes = Decode(text);
  std::u32string out;
  bool inside = false;
  for (size_t at = 0; at < codes.size(); ++at) {
    if (inside) {
      AppendLower(out, codes, at);
    } else {
      AppendUpper(out, codes[at], true);
    }
    inside = IsCased(codes[at]);
  }
  return Encode(out);
}

std::string SwapCase(std::string_view text) {
  const std::u32string codes = Decode(text);
  std::u32string out;
  for (size_t at = 0; at < codes.size(); ++at) {
    if (IsLower(codes[at])) {
      AppendUpper(out, codes[at], false);
    } else {
      AppendLower(out, codes, at);
    }
  }
  return Encode(out);
}

std::string_view StripSpace(std::string_view text, Side side) {
  return StripWhere(text, side, IsSpace);
}

std::string_view StripChars(std::string_view text, std::string_view chars, Side side) {
  std::u32string set = Decode(chars);
  std::sort(set.begin(), set.end());
  return StripWhere(text, side, [&set](char32_t code) {
    return std::binary_search(set.begin(), set.end(), code);
  });
}

std::vector<std::string_view> SplitLines(std::string_view text, bool keep_ends) {
  std::vector<std::string_view> lines;
  size_t start = 0;
  for (size_t at = 0, width; at < text.size(); at += width) {
    if (!IsLineEnd(CodeAt(text, at, &width))) continue;
    if (text[at] == '\r' && at + 1 < text.size() && text[at + 1] == '\n') width = 2;
    lines.push_back(text.substr(start, at - start + (keep_ends ? width : 0)));
    start = at + width;
  }
  if (start < text.size()) lines.push_back(text.substr(start));
  return lines;
}

size_t CountOf(std::string_view text, std::string_view what) {
  if (what.empty()) return CountCodes(text) + 1;
  size_t count = 0;
  for (size_t at = text.find(what); at != text.npos; at = text.find(what, at + what.size())) {
    ++count;
  }
  return count;
}

std::string ReplaceAll(std::string_view text, std::string_view old, std::string_view with,
                       int64_t count) {
  std::string out;
  size_t at = 0;
  if (old.empty()) {
    for (; count != 0; --count) {
      out += with;
      if (at == text.size()) break;
      const size_t width = Utf8Width(text[at]);
      out += text.substr(at, width);
      at += width;
    }
    return out += text.substr(at);
  }
  for (; count != 0; --count) {
    const size_t found = text.find(old, at);
    if (found == text.npos) break;
    out += text.substr(at, found - at);
    out += with;
    at = found + old.size();
  }
  return out += text.substr(at);
}

}  // namespace quern::jinja
