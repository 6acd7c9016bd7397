#pragma once

#include "model/tokenizer/partition.h"
#include "model/tokenizer/tokenizer.h"
#include "model/tokenizer/vocab.h"

namespace quern {

// What the kinds of tokenizers share: the vocabulary, and special tokens cut out of the text first.
class VocabTokenizer : public Tokenizer {
 public:
  VocabTokenizer(const Metadata& metadata, const VocabDefaults& defaults)
      : vocab_(metadata, defaults), partition_(vocab_, metadata) {}

  std::vector<TokenId> Encode(std::string_view text, bool add_special,
                              bool parse_special) const override;
  std::string Piece(TokenId id, bool special) const override;

  int32_t size() const override { return vocab_.size(); }
  TokenId bos() const override { return vocab_.bos(); }
  TokenId eos() const override { return vocab_.eos(); }
  bool adds_bos() const override { return vocab_.adds_bos(); }
  bool adds_space_prefix() const override { return vocab_.adds_space_prefix(); }
  bool IsEndOfGeneration(TokenId id) const override { return vocab_.EndsGeneration(id); }

 protected:
  const Vocab& vocab() const { return vocab_; }
  // What stands before a stretch of text.
  enum class Before { kNothing, kSpecialToken, kText };
  // Encodes text without special tokens in it.
  virtual void EncodeText(std::string_view text, Before before,
                          std::vector<TokenId>& out) const = 0;
  // The bytes that a normal token's text stands for.
  virtual std::string BytesOf(std::string_view token) const = 0;

 private:
  Vocab vocab_;
  Partition partition_;
};

std::unique_ptr<Tokenizer> MakeSpm(const Metadata& metadata);
std::unique_ptr<Tokenizer> MakeBpe(const Metadata& metadata);

}  // namespace quern
