#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "model/tokenizer/unicode.h"

namespace quern {

// A stretch of characters of a text.
struct Range {
  size_t begin, end;
};

// One pattern of a pre-tokenizer, matched over a stretch from the left without overlap: appends the
// matches, and what lies between them. Nothing outside the stretch is seen.
using Splitter = void (*)(const Characters& text, Range stretch, std::vector<Range>& out);

// How a byte-level BPE cuts text into words before it merges, by the name in tokenizer.ggml.pre.
struct PreTokenizer {
  std::span<const Splitter> splitters;  // each splits further what the ones before left
  bool whole_words = false;  // a word that is a token is that token, whatever the merges say
  bool adds_bos = false;     // where the file does not say
  bool has_bos = true;       // where the file does not say

  std::vector<Range> Split(const Characters& text) const;
};

// Null where the name is not known.
const PreTokenizer* FindPreTokenizer(std::string_view name);

}  // namespace quern
