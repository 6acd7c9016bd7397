#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "base/error.h"
#include "gguf/keys.h"
#include "model/tokenizer/tokenizer.h"

namespace quern {
namespace {

Metadata Vocabulary(const char* model) {
  Metadata metadata("hostile.gguf");
  metadata.Set(keys::kTokenizerModel, model);
  metadata.Set(keys::kTokens, Array({"<unk>", "<s>", "</s>", "a"}));
  const std::vector<float> scores = {0, 0, 0, -1};
  const std::vector<int32_t> types = {2, 3, 3, 1};
  metadata.Set(keys::kScores, Array::Of<float>(scores));
  metadata.Set(keys::kTokenTypes, Array::Of<int32_t>(types));
  metadata.Set(keys::kMerges, Array(std::vector<std::string>{"a a"}));
  return metadata;
}

struct Case {
  const char* model;
  const char* said;  // part of the error
  std::function<void(Metadata&)> spoil;
};

template <typename T>
Value ArrayOf(std::vector<T> values) {
  return Array::Of<T>(values);
}

ErrorKind Refusal(const Metadata& metadata, std::string& message) {
  try {
    Tokenizer::FromMetadata(metadata);
  } catch (const Error& error) {
    message = error.what();
    return error.kind();
  }
  message = "nothing";
  return ErrorKind::kUsage;
}

}  // namespace

TEST_CASE("contradictory vocabularies are refused, and the error says where") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<Case> cases = {
      {"llama", "tokenizer.ggml.tokens", [](Metadata& m) { m.Remove(keys::kTokens); }},
      {"llama", "tokens", [](Metadata& m) { m.Set(keys::kTokens, 3); }},
      {"llama", "strings",
       [](Metadata& m) {
         m.Set(keys::kTokens, ArrayOf<float>({1, 2}));
       }},
      {"llama", "0 tokens",
       [](Metadata& m) { m.Set(keys::kTokens, Array(std::vector<std::string>())); }},
      {"llama", "3 elements",
       [](Metadata& m) {
         m.Set(keys::kScores, ArrayOf<float>({1, 2, 3}));
       }},
      {"llama", "5 elements",
       [](Metadata& m) {
         m.Set(keys::kTokenTypes, ArrayOf<int32_t>({1, 1, 1, 1, 1}));
       }},
      {"llama", "integers",
       [](Metadata& m) {
         m.Set(keys::kTokenTypes, ArrayOf<float>({1, 1, 1, 1}));
       }},
      {"llama", "numbers",
       [](Metadata& m) {
         m.Set(keys::kScores, Array({"a", "b", "c", "d"}));
       }},
      {"llama", "no number",
       [=](Metadata& m) {
         m.Set(keys::kScores, ArrayOf<float>({0, 0, nan, 0}));
       }},
      {"llama", "are both 'a'",
       [](Metadata& m) {
         m.Set(keys::kTokens, Array({"a", "b", "c", "a"}));
       }},
      {"llama", "is 4, the vocabulary has 4",
       [](Metadata& m) { m.Set(keys::kBosId, uint32_t{4}); }},
      {"llama", "eos_token_id", [](Metadata& m) { m.Set(keys::kEosId, int32_t{-1}); }},
      {"llama", "eot_token_id", [](Metadata& m) { m.Set(keys::kEotId, uint64_t{1} << 40); }},
      {"llama", "add_bos_token", [](Metadata& m) { m.Set(keys::kAddBos, "yes"); }},
      {"llama", "special tokens",
       [](Metadata& m) {
         m.Set(keys::kTokens, Array({"a", std::string(size_t{1} << 25, 'x'), "b", "c"}));
       }},
      {"gpt2", "merges' is missing", [](Metadata& m) { m.Remove(keys::kMerges); }},
      {"gpt2", "merge 1",
       [](Metadata& m) {
         m.Set(keys::kMerges, Array({"a a", "aa"}));
       }},
      {"gpt2", "merge 0",
       [](Metadata& m) {
         m.Set(keys::kMerges, Array({"", "a a"}));
       }},
      {"gpt2", "strings", [](Metadata& m) { m.Set(keys::kMerges, ArrayOf<float>({1})); }},
  };
  for (const Case& one : cases) {
    CAPTURE(one.said);
    Metadata metadata = Vocabulary(one.model);
    CHECK_NOTHROW(Tokenizer::FromMetadata(metadata));
    one.spoil(metadata);
    std::string message;
    CHECK(Refusal(metadata, message) == ErrorKind::kBadInput);
    CAPTURE(message);
    CHECK(message.find(one.said) != std::string::npos);
    CHECK(message.find("hostile.gguf") != std::string::npos);
  }
}

TEST_CASE("kinds and pre-tokenizers that are not known are refused by name") {
  std::string message;
  CHECK(Refusal(Vocabulary("rwkv"), message) == ErrorKind::kUnsupported);
  CHECK(message.find("'rwkv'") != std::string::npos);
  Metadata metadata = Vocabulary("gpt2");
  metadata.Set(keys::kTokenizerPre, "klingon");
  CHECK(Refusal(metadata, message) == ErrorKind::kUnsupported);
  CHECK(message.find("'klingon'") != std::string::npos);
}

TEST_CASE("odd vocabularies that mean something are taken") {
  Metadata metadata = Vocabulary("llama");
  metadata.Set(keys::kTokens, Array({"", "a", "", "[EMPTY_3]"}));
  metadata.Set(keys::kTokenTypes, ArrayOf<int32_t>({1, 1, 99, 6}));
  const auto spm = Tokenizer::FromMetadata(metadata);
  CHECK(spm->Piece(2) == "");
  CHECK(spm->Piece(3) == "[EMPTY_3]");
  CHECK_THROWS_AS(spm->Piece(4), Error);
  CHECK_THROWS_AS(spm->Piece(-1), Error);
  // No default BOS fits into so small a vocabulary.
  Metadata tiny = Vocabulary("gpt2");
  tiny.Set(keys::kTokenizerPre, "llama-bpe");
  const auto bpe = Tokenizer::FromMetadata(tiny);
  CHECK(bpe->bos() == -1);
  CHECK(bpe->Encode("a", true, true) == std::vector<TokenId>{3});
}

TEST_CASE("any bytes encode") {
  const auto spm = Tokenizer::FromMetadata(Vocabulary("llama"));
  const auto bpe = Tokenizer::FromMetadata(Vocabulary("gpt2"));
  uint32_t state = 1;
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (size_t size = state % 23; text.size() < size;) {
      state = state * 1664525 + 1013904223;
      text += static_cast<char>(state >> 24);
    }
    state = state * 1664525 + 1013904223;
    for (const bool special : {false, true}) {
      for (const TokenId id : spm->Encode(text, special, special)) CHECK(id < spm->size());
      for (const TokenId id : bpe->Encode(text, special, special)) CHECK(id < bpe->size());
    }
  }
}

}  // namespace quern
