#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/progress.h"
#include "gguf/metadata.h"
#include "model/tokenizer/tokenizer.h"

namespace quern {

// A tokenizer's vocabulary as GGUF has it.
struct Vocabulary {
  std::string model;                // "llama": SentencePiece's BPE; "gpt2": byte-level BPE
  std::string pre = "default";      // how byte-level BPE cuts text into words
  std::vector<std::string> tokens;  // by id
  std::vector<float> scores;        // written for SentencePiece: the highest is merged first
  std::vector<TokenType> types;
  std::vector<std::string> merges;  // byte-level BPE only: "left right", the first goes first
  // Whether text is encoded as if a space stood before it; absent: as llama.cpp does by itself.
  std::optional<bool> add_space_prefix;
  // Of a Metaspace pre-tokenizer: "first" or "always" (keys::kSpacePrefixRule); else empty.
  std::string space_prefix_rule;
  // What the tokenizer's own file says of the special tokens, for a folder whose other files do
  // not; -1 where there is none.
  int64_t bos = -1, eos = -1, unk = -1, pad = -1;

  int64_t size() const { return static_cast<int64_t>(tokens.size()); }
  // Makes room for `count` tokens; new ones are unused and called "[PAD7]" by their id.
  void Grow(int64_t count);
  void Put(int64_t id, std::string text, float score, TokenType type);
};

struct VocabularyOptions {
  int64_t vocab_size = 0;  // of config.json: what is missing is padded; 0 where nothing is known
  std::string pre;         // replaces the pre-tokenizer that is derived, where it is not empty
  bool reads_add_prefix_space = true;  // of tokenizer_config.json, as the reference does for Llama
};

class TokenizerFiles;

// Reads a tokenizer, tokenizer.model before tokenizer.json. Errors: kBadInput for what contradicts
// itself, kUnsupported for a kind of tokenizer that llama.cpp or Quern does not have.
Vocabulary ReadVocabulary(const TokenizerFiles& files, const VocabularyOptions& options,
                          Progress& progress);

// "tokenizer.ggml.model" to "tokenizer.ggml.merges", in the reference's order.
void SetVocabularyKeys(const Vocabulary& vocabulary, Metadata& keys);

}  // namespace quern
