#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "model/tokenizer/tokenizer.h"

namespace quern {

struct SentencePiece {
  std::string text;
  float score = 0;
  TokenType type = TokenType::kNormal;
};

// What a tokenizer.model says (sentencepiece_model.proto): the pieces by their ids, and how the
// text is prepared.
struct SentencePieceModel {
  enum class Algorithm { kUnigram = 1, kBpe = 2, kWord = 3, kChar = 4 };
  std::vector<SentencePiece> pieces;
  Algorithm algorithm = Algorithm::kUnigram;
  int64_t unk = 0, bos = 1, eos = 2, pad = -1;  // -1: there is none
  bool adds_dummy_prefix = true;
  bool removes_extra_spaces = true;
  bool has_character_map = false;  // a normalization beyond spaces
};

// Reads the protobuf; unknown fields are skipped. Errors are kBadInput and name `name`.
SentencePieceModel ParseSentencePieceModel(std::span<const std::byte> bytes,
                                           const std::string& name);

// Whether the bytes may be such a file: they begin with a piece. What else is called
// tokenizer.model (tiktoken's lists) does not.
bool LooksLikeSentencePiece(std::span<const std::byte> bytes);

}  // namespace quern
