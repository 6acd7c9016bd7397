#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "gguf/keys.h"
#include "model/tokenizer/tokenizer.h"

namespace quern {
namespace {

using Ids = std::vector<TokenId>;

struct Entry {
  std::string text;
  float score;
  TokenType type = TokenType::kNormal;
};

Metadata SpmMetadata(std::vector<Entry> more = {}) {
  std::vector<Entry> entries = {{"<unk>", 0, TokenType::kUnknown},
                                {"<s>", 0, TokenType::kControl},
                                {"</s>", 0, TokenType::kControl},
                                {"<0x0A>", 0, TokenType::kByte},
                                {"<0xC3>", 0, TokenType::kByte},
                                {"<0xA9>", 0, TokenType::kByte},
                                {"<0xFF>", 0, TokenType::kByte},
                                {"▁", -1},
                                {"a", -2},
                                {"b", -3},
                                {"ab", -10},
                                {"▁a", -5},
                                {"ba", -6},
                                {"aa", -20},
                                {"aaaa", -21},
                                {"▁▁", -22},
                                {"<tool>", 0, TokenType::kUserDefined}};
  for (Entry& entry : more) entries.push_back(std::move(entry));
  std::vector<std::string> texts;
  std::vector<float> scores;
  std::vector<int32_t> types;
  for (const Entry& entry : entries) {
    texts.push_back(entry.text);
    scores.push_back(entry.score);
    types.push_back(static_cast<int32_t>(entry.type));
  }
  Metadata metadata("test.gguf");
  metadata.Set(keys::kTokenizerModel, "llama");
  metadata.Set(keys::kTokens, Array(texts));
  metadata.Set(keys::kScores, Array::Of<float>(scores));
  metadata.Set(keys::kTokenTypes, Array::Of<int32_t>(types));
  return metadata;
}

}  // namespace

TEST_CASE("SPM merges the highest score first, the leftmost among equals") {
  Metadata metadata = SpmMetadata();
  metadata.Set(keys::kAddSpacePrefix, false);
  const auto spm = Tokenizer::FromMetadata(metadata);
  CHECK(spm->Encode("ab", false, true) == Ids{10});
  CHECK(spm->Encode("aba", false, true) == Ids{8, 12});  // "ba" is better than "ab"
  CHECK(spm->Encode("aaa", false, true) == Ids{13, 8});  // both pairs are equal
  CHECK(spm->Encode("aaaaaa", false, true) == Ids{14, 13});
  CHECK(spm->Encode("", false, true).empty());
}

TEST_CASE("SPM spells what is no token in bytes, and those without a token as unknown") {
  Metadata metadata = SpmMetadata();
  metadata.Set(keys::kAddSpacePrefix, false);
  const auto spm = Tokenizer::FromMetadata(metadata);
  CHECK(spm->Encode("é\n", false, true) == Ids{4, 5, 3});
  CHECK(spm->Encode("a\xFF"
                    "b",
                    false, true) == Ids{8, 6, 9});  // 0xFF begins 4 bytes, 2 are there
  CHECK(spm->Encode("z", false, true) == Ids{0});
  CHECK(spm->Encode(std::string_view("\0", 1), false, true) == Ids{0});
}

TEST_CASE("SPM puts a space before text, and BOS where the file does not say otherwise") {
  const auto spm = Tokenizer::FromMetadata(SpmMetadata());
  CHECK(spm->adds_bos());
  CHECK(spm->Encode("a", true, true) == Ids{1, 11});
  CHECK(spm->Encode("", true, true) == Ids{1});
  CHECK(spm->Encode("a a", false, true) == Ids{11, 11});
  CHECK(spm->Encode("  a", false, true) == Ids{15, 11});
  CHECK(spm->Encode("a<s>a", false, true) == Ids{11, 1, 11});
  Metadata metadata = SpmMetadata();
  metadata.Set(keys::kAddBos, false);
  metadata.Set(keys::kAddEos, true);
  CHECK(Tokenizer::FromMetadata(metadata)->Encode("a", true, true) == Ids{11, 2});
}

TEST_CASE("a token with a space within goes over the beginning of a word") {
  const auto spm = Tokenizer::FromMetadata(SpmMetadata({{"b▁", -1}, {"b▁a", -1}}));
  CHECK(spm->Encode("b a", false, true) == Ids{7, 18});
  CHECK(spm->Encode("a a", false, true) == Ids{11, 11});
}

TEST_CASE("user-defined tokens are always cut out, control tokens where they are parsed") {
  const auto spm = Tokenizer::FromMetadata(SpmMetadata());
  CHECK(spm->Encode("a<tool>b", false, false) == Ids{11, 16, 7, 9});
  CHECK(spm->Encode("<s>", false, true) == Ids{1});
  CHECK(spm->Encode("<s>", false, false) == Ids{7, 0, 0, 0});
}

TEST_CASE("of special tokens the longest goes first, over the whole text") {
  const auto spm = Tokenizer::FromMetadata(SpmMetadata({{"<a", 0, TokenType::kControl},
                                                        {"a><b", 0, TokenType::kControl},
                                                        {"<b", 0, TokenType::kControl}}));
  CHECK(spm->Encode("<a><b", false, true) == Ids{7, 0, 18});
  CHECK(spm->Encode("<b<a", false, true) == Ids{19, 17});
}

TEST_CASE("Phi-3's special tokens take the white space behind them") {
  Metadata metadata = SpmMetadata({{"<|end|>", 0, TokenType::kControl}});
  metadata.Set(keys::kName, "Phi-3 mini");
  const auto spm = Tokenizer::FromMetadata(metadata);
  CHECK(spm->Encode("<|end|> \n a", false, true) == Ids{17, 11});
  CHECK(spm->Encode("<|end|> \n", false, true) == Ids{17});
  CHECK(spm->Encode("<s> a", false, true) == Ids{1, 7, 11});  // not behind <s>
  CHECK(spm->Encode("</s> a", false, true) == Ids{2, 11});
}

TEST_CASE("SPM's pieces") {
  const auto spm = Tokenizer::FromMetadata(SpmMetadata());
  CHECK(spm->Piece(11) == " a");
  CHECK(spm->Piece(5) == "\xA9");
  CHECK(spm->Piece(1) == "");
  CHECK(spm->Piece(1, true) == "<s>");
  CHECK(spm->Piece(16) == "<tool>");
  for (const char* text : {"a ab é", " a", "", "  a\n", "a<tool>a"}) {
    CHECK(spm->Decode(spm->Encode(text, true, true)) ==
          (std::string(text) == "a<tool>a" ? "a<tool> a" : text));
  }
}

TEST_CASE("a generation ends at EOS, EOT and tokens of known names") {
  Metadata metadata = SpmMetadata({{"<|im_end|>", 0, TokenType::kNormal},
                                   {"<|end|>", 0, TokenType::kControl},
                                   {"x", -1},
                                   {"y", -1}});
  metadata.Set(keys::kEosId, uint32_t{19});
  metadata.Set(keys::kEotId, uint32_t{20});
  const auto spm = Tokenizer::FromMetadata(metadata);
  for (const TokenId id : {2, 17, 18, 19, 20}) CHECK(spm->IsEndOfGeneration(id));
  for (const TokenId id : {-1, 0, 1, 3, 16}) CHECK(!spm->IsEndOfGeneration(id));
  // A name of its kind makes it a control token, whatever the file says.
  CHECK(spm->Piece(17) == "");
}

TEST_CASE("where there are <|return|> and <|call|>, <|end|> ends no generation") {
  const auto spm = Tokenizer::FromMetadata(SpmMetadata({{"<|end|>", 0, TokenType::kControl},
                                                        {"<|return|>", 0, TokenType::kControl},
                                                        {"<|call|>", 0, TokenType::kControl}}));
  CHECK(!spm->IsEndOfGeneration(17));
  CHECK(spm->IsEndOfGeneration(18));
  CHECK(spm->Piece(17) == "<|end|>");
}

TEST_CASE("the space in front follows the rule of the tokenizer's own file") {
  Metadata metadata = SpmMetadata();
  const auto encode = [&](std::string_view text) {
    return Tokenizer::FromMetadata(metadata)->Encode(text, false, true);
  };
  const Ids with = {11};
  // SentencePiece: before any text, behind a special token too.
  CHECK(encode("a") == with);
  CHECK(encode(" a") == Ids{7, 11});
  CHECK(encode("</s>a") == Ids{2, 11});
  // The tokenizers library: only where no space stands already.
  metadata.Set(keys::kSpacePrefixRule, "always");
  CHECK(encode("a") == with);
  CHECK(encode(" a") == with);
  CHECK(encode("</s>a") == Ids{2, 11});
  CHECK(encode("</s> a") == Ids{2, 11});
  // At the beginning of the whole text alone.
  metadata.Set(keys::kSpacePrefixRule, "first");
  CHECK(encode("a") == with);
  CHECK(encode(" a") == with);
  CHECK(encode("</s>a") == Ids{2, 8});
}

}  // namespace quern
