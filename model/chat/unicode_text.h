#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// Text as Python's str has it: a sequence of code points. Text is valid UTF-8 throughout.
namespace quern::jinja {

bool IsValidUtf8(std::string_view text);
void AppendUtf8(std::string& out, char32_t code);
std::u32string Decode(std::string_view text);
std::string Encode(std::u32string_view codes);
size_t CountCodes(std::string_view text);
// The byte at which code point `index` begins, or the text's end.
size_t ByteOf(std::string_view text, size_t index);
// Bytes of the code point that begins with this byte.
size_t Utf8Width(char lead);

bool IsSpace(char32_t code);
bool IsLineEnd(char32_t code);
bool IsPrintable(char32_t code);
bool IsLetter(char32_t code);
bool IsDecimal(char32_t code);
bool IsDigit(char32_t code);
bool IsNumeric(char32_t code);
bool IsUpper(char32_t code);
bool IsLower(char32_t code);
bool IsTitle(char32_t code);

std::string Upper(std::string_view text);
std::string Lower(std::string_view text);
// The first code point in title case, the others in lower case.
std::string Capitalize(std::string_view text);
// str.title(): each run of letters capitalized.
std::string TitleWords(std::string_view text);
std::string SwapCase(std::string_view text);

enum class Side { kBoth, kLeft, kRight };
// Without the white space at its ends, or without any code point of `chars`.
std::string_view StripSpace(std::string_view text, Side side = Side::kBoth);
std::string_view StripChars(std::string_view text, std::string_view chars, Side side);
std::vector<std::string_view> SplitLines(std::string_view text, bool keep_ends);
// `text` with every `old` replaced, at most `count` times (< 0: all).
std::string ReplaceAll(std::string_view text, std::string_view old, std::string_view with,
                       int64_t count);
// How many times ReplaceAll would replace.
size_t CountOf(std::string_view text, std::string_view what);

}  // namespace quern::jinja
