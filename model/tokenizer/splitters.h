#pragma once

#include "model/tokenizer/pretokenizer.h"

namespace quern {

// The patterns of the pre-tokenizers by hand: linear in the text, and with the reference's meaning
// where its translation of a pattern differs from the pattern (splitters.cc says where).

// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
void SplitGpt2(const Characters& text, Range stretch, std::vector<Range>& out);
// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,max_digits}|
//  ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
template <int max_digits>
void SplitLlama3(const Characters& text, Range stretch, std::vector<Range>& out);

void SplitNewlines(const Characters& text, Range stretch, std::vector<Range>& out);       // [\r\n]
void SplitNumbers(const Characters& text, Range stretch, std::vector<Range>& out);        // \p{N}+
void SplitSingleNumbers(const Characters& text, Range stretch, std::vector<Range>& out);  // \p{N}
void SplitDigitTriples(const Characters& text, Range stretch,
                       std::vector<Range>& out);  // [0-9][0-9][0-9]
void SplitTrailingSpaces(const Characters& text, Range stretch, std::vector<Range>& out);  // \s+$
void SplitSpacedLetters(const Characters& text, Range stretch,
                        std::vector<Range>& out);  // \s?\p{L}+
void SplitSpacedPunctuation(const Characters& text, Range stretch,
                            std::vector<Range>& out);  // \s?\p{P}+
// \s?[...]+ of the letters of scripts with case, as deepseek-llm lists them.
void SplitSpacedAlphabets(const Characters& text, Range stretch, std::vector<Range>& out);
// \s?[!-/:-~！-／：-～‘-‟　-。]+
void SplitSpacedMarks(const Characters& text, Range stretch, std::vector<Range>& out);
void SplitCjk(const Characters& text, Range stretch,
              std::vector<Range>& out);  // [一-龥ࠀ-一가-퟿]+
// [\p{P}$+<=>^~|`]+, and without the backtick in the default pre-tokenizer.
void SplitFalconPunctuation(const Characters& text, Range stretch, std::vector<Range>& out);
void SplitDefaultPunctuation(const Characters& text, Range stretch, std::vector<Range>& out);

}  // namespace quern
