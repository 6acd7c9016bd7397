#pragma once

#include <cstddef>
#include <span>

#include "convert/sentencepiece_model.h"
#include "convert/tokenizer_files.h"
#include "convert/vocabulary.h"

namespace quern {

// The vocabulary of a tokenizer.model, with the tokens that added_tokens.json and
// tokenizer_config.json add to it. kUnsupported where it is not of SentencePiece's BPE kind:
// llama.cpp would encode it otherwise.
Vocabulary SentencePieceVocabulary(const TokenizerFiles& files, std::span<const std::byte> model,
                                   const VocabularyOptions& options, Progress& progress);

// "▁" for spaces, as SentencePiece's pieces have it, and back.
std::string WithSpaces(std::string text);

}  // namespace quern
