#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/metadata.h"
#include "model/tokenizer/tokenizer.h"

namespace quern {

// What a token is, as a set: a token may be looked up as control and user-defined at once after the
// corrections of its file.
enum TokenTrait : uint16_t {
  kTraitUnknown = 1,
  kTraitUnused = 2,
  kTraitNormal = 4,
  kTraitControl = 8,
  kTraitUserDefined = 16,
  kTraitByte = 32,
  kTraitLeftStrip = 64,    // white space before it belongs to it
  kTraitRightStrip = 128,  // white space behind it belongs to it
};

struct Token {
  std::string text;
  float score = 0;
  uint16_t traits = kTraitNormal;

  bool Is(uint16_t any_of) const { return (traits & any_of) != 0; }
};

// What a tokenizer's kind (and pre-tokenizer) says where the file is silent. Ids that the
// vocabulary does not have are none.
struct VocabDefaults {
  TokenId bos = -1, eos = -1, unknown = -1, separator = -1;
  bool add_bos = false, add_eos = false, add_space_prefix = false;
};

// The tokens of a tokenizer.ggml.* vocabulary, and which of them are special.
class Vocab {
 public:
  // Errors: kBadInput where the arrays differ in length, a token stands twice, a score is no number
  // or an id is out of range.
  Vocab(const Metadata& metadata, const VocabDefaults& defaults);
  Vocab(const Vocab&) = delete;
  Vocab& operator=(const Vocab&) = delete;

  int32_t size() const { return static_cast<int32_t>(tokens_.size()); }
  const Token& operator[](TokenId id) const { return tokens_[static_cast<size_t>(id)]; }
  // The token of this text, or -1.
  TokenId Find(std::string_view text) const { return slots_[SlotOf(text)].id; }
  // The token <0xNN> that stands for a byte, or -1.
  TokenId FindByte(uint8_t byte) const;
  size_t longest() const { return longest_; }  // bytes of the longest token

  TokenId bos() const { return bos_; }
  TokenId eos() const { return eos_; }
  TokenId unknown() const { return unknown_; }
  TokenId separator() const { return separator_; }
  bool adds_bos() const { return add_bos_; }
  bool adds_eos() const { return add_eos_; }
  bool adds_space_prefix() const { return add_space_prefix_; }
  bool EndsGeneration(TokenId id) const { return ends_.count(id) != 0; }

 private:
  // A place of the hash table from text to id; most look-ups find nothing, and see so by the tag.
  struct Slot {
    uint32_t tag = 0;
    TokenId id = -1;
  };

  // Where the text stands, or would.
  size_t SlotOf(std::string_view text) const;
  void ReadTokens(const Metadata& metadata);
  TokenId ReadId(const Metadata& metadata, std::string_view key, TokenId otherwise = -1) const;
  void ReadSpecialIds(const Metadata& metadata, const VocabDefaults& defaults);
  void FindEnds(const Metadata& metadata);
  void CorrectHarmony();
  void SetStrips(const Metadata& metadata);
  void Add(std::string_view text, uint16_t traits);

  std::vector<Token> tokens_;
  std::vector<Slot> slots_;  // a power of two of them, half of them free or more
  size_t longest_ = 0;
  TokenId bos_ = -1, eos_ = -1, unknown_ = -1, separator_ = -1;
  bool add_bos_ = false, add_eos_ = false, add_space_prefix_ = false;
  std::set<TokenId> ends_;
};

}  // namespace quern
