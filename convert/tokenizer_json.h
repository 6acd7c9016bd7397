#pragma once

#include "convert/tokenizer_files.h"
#include "convert/vocabulary.h"

namespace quern {

// The vocabulary of a tokenizer.json of the tokenizers library, of one of two kinds:
// - byte-level BPE ("gpt2"): its merges as they are, the pre-tokenizer by PreTokenizerName;
// - BPE of SentencePiece's kind ("llama": blocks for spaces, bytes where a character is unknown):
//   the score of a token is minus the rank of the first merge that makes it, so that llama.cpp,
//   which merges the pair of the highest score first, merges in the library's order.
// kUnsupported for Unigram, WordPiece and the rest.
Vocabulary TokenizerJsonVocabulary(const TokenizerFiles& files, const VocabularyOptions& options,
                                   Progress& progress);

}  // namespace quern
