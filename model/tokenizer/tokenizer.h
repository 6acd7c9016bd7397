#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/metadata.h"

namespace quern {

using TokenId = int32_t;

// What a token stands for; the ids are those of tokenizer.ggml.token_type.
enum class TokenType : int32_t {
  kUndefined = 0,
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6,
};

// Text to tokens and back, after the tokenizer.ggml.* keys of a GGUF file, with llama.cpp's
// results.
class Tokenizer {
 public:
  // Errors: kBadInput where the keys contradict themselves, kUnsupported for a model or
  // pre-tokenizer that is not known.
  static std::unique_ptr<Tokenizer> FromMetadata(const Metadata& metadata);
  virtual ~Tokenizer() = default;

  // add_special: BOS and EOS where the file asks for them. parse_special: the text of a control
  // token becomes that token; otherwise it is text like any other.
  virtual std::vector<TokenId> Encode(std::string_view text, bool add_special,
                                      bool parse_special) const = 0;
  // The bytes of one token: of a control token nothing, unless `special`.
  virtual std::string Piece(TokenId id, bool special = false) const = 0;
  // The pieces together, without the space that Encode puts before the text.
  std::string Decode(std::span<const TokenId> ids, bool special = false) const;

  virtual int32_t size() const = 0;
  virtual TokenId bos() const = 0;  // -1 where there is none
  virtual TokenId eos() const = 0;
  virtual bool adds_bos() const = 0;
  // A space is put before text that begins, or stands behind a special token.
  virtual bool adds_space_prefix() const = 0;
  // EOS, EOT and the like: generation stops behind it.
  virtual bool IsEndOfGeneration(TokenId id) const = 0;
};

}  // namespace quern
