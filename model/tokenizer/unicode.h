#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace quern {

// General categories of Unicode 15.1 as the pre-tokenizers' patterns name them (\p{L}, \p{N}, ...).
// White space (\s) is a class of its own, whatever its category.
enum class CharClass : uint8_t {
  kOther,
  kLetter,
  kNumber,
  kMark,
  kPunctuation,
  kSymbol,
  kSpace,
};

CharClass ClassOf(char32_t code);

// Appends `code` (at most 0x10FFFF) as UTF-8.
void AppendUtf8(char32_t code, std::string& out);

// The next character of `text` at `*offset`, which moves behind it. A byte that begins no character
// is U+FFFD and one byte long; a surrogate or an overlong form counts as what it spells
// (llama.cpp's reading).
char32_t NextChar(std::string_view text, size_t* offset);

// Length that the first byte of a character promises: 1 for a continuation byte.
size_t Utf8Length(char first);

// A text taken apart for matching.
struct Characters {
  explicit Characters(std::string_view text);

  std::string utf8;                // the text with what is no UTF-8 replaced
  std::vector<char32_t> codes;     // white space beyond ASCII is a vertical tab here
  std::vector<CharClass> classes;  // of each code
  std::vector<uint32_t> begins;    // offset in utf8 of each character, and the end
  size_t size() const { return codes.size(); }
};

}  // namespace quern
