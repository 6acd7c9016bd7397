#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "gguf/keys.h"
#include "model/tokenizer/pretokenizer.h"
#include "model/tokenizer/tokenizer.h"
#include "tests/support/paths.h"

namespace quern {
namespace {

using Ids = std::vector<TokenId>;

Metadata BpeMetadata(std::vector<std::string> tokens, std::vector<std::string> merges,
                     const char* pre = "gpt-2") {
  Metadata metadata("test.gguf");
  metadata.Set(keys::kTokenizerModel, "gpt2");
  metadata.Set(keys::kTokenizerPre, pre);
  metadata.Set(keys::kTokens, Array(std::move(tokens)));
  metadata.Set(keys::kMerges, Array(std::move(merges)));
  return metadata;
}

// The words of a text with | between them.
std::string Words(const char* pre, std::string_view text) {
  const PreTokenizer* found = FindPreTokenizer(pre);
  REQUIRE(found);
  const Characters characters(text);
  std::string words;
  size_t end = 0;
  for (const Range& word : found->Split(characters)) {
    REQUIRE(word.begin == end);
    REQUIRE(word.end > word.begin);
    if (end) words += '|';
    const size_t begin = characters.begins[word.begin];
    words += characters.utf8.substr(begin, characters.begins[word.end] - begin);
    end = word.end;
  }
  REQUIRE(end == characters.size());
  return words;
}

}  // namespace

TEST_CASE("BPE merges by rank, the leftmost among equals") {
  const auto bpe = Tokenizer::FromMetadata(BpeMetadata(
      {"a", "b", "c", "ab", "bc", "abc", "aa", "Ġ", "Ġa"}, {"b c", "a b", "a bc", "a a", "Ġ a"}));
  CHECK(bpe->Encode("abc", false, true) == Ids{5});
  CHECK(bpe->Encode("ab", false, true) == Ids{3});
  CHECK(bpe->Encode("aaa", false, true) == Ids{6, 0});
  CHECK(bpe->Encode("a a  a", false, true) == Ids{0, 8, 7, 8});
  CHECK(bpe->Decode(bpe->Encode("a a  abc", false, true)) == "a a  abc");
  CHECK(!bpe->adds_bos());
}

TEST_CASE("what the vocabulary lacks is taken apart, and lost where it lacks the bytes too") {
  const auto bpe = Tokenizer::FromMetadata(BpeMetadata({"a", "b"}, {"a b", "ab a"}));
  CHECK(bpe->Encode("ab", false, true) == Ids{0, 1});
  CHECK(bpe->Encode("aba", false, true) == Ids{0, 1, 0});
  CHECK(bpe->Encode("axb", false, true) == Ids{0, 1});
}

TEST_CASE("a word that is a token needs no merges where the pre-tokenizer says so") {
  const std::vector<std::string> tokens = {"a", "b", "ab", "<s>"};
  Metadata llama3 = BpeMetadata(tokens, {}, "llama-bpe");
  llama3.Set(keys::kBosId, uint32_t{3});
  CHECK(Tokenizer::FromMetadata(llama3)->Encode("ab", true, true) == Ids{3, 2});
  const auto gpt2 = Tokenizer::FromMetadata(BpeMetadata(tokens, {}));
  CHECK(gpt2->Encode("ab", true, true) == Ids{0, 1});
}

TEST_CASE("bytes have GPT-2's spelling; what is no UTF-8 becomes U+FFFD") {
  const auto bpe = Tokenizer::FromMetadata(BpeMetadata({"Ã", "©", "ï", "¿", "½", "Ċ"}, {}));
  CHECK(bpe->Encode("é\n", false, true) == Ids{0, 1, 5});
  CHECK(bpe->Encode("\xC3", false, true) == Ids{2, 3, 4});
  CHECK(bpe->Encode("\xF5\x80\x80\x80", false, true).size() == 12);  // beyond U+10FFFF
  CHECK(bpe->Encode("\xC1\xA9", false, true).empty());  // an overlong "i", which is no token
  CHECK(bpe->Piece(0) == "\xC3");
  CHECK(bpe->Piece(5) == "\n");
}

TEST_CASE("pre-tokenizers cut as their patterns say") {
  CHECK(Words("gpt-2", "I'm 123 ok!!  \n x") == "I|'m| 123| ok|!!|  \n| x");
  CHECK(Words("mpt", "I'M  ") == "I|'|M|  ");
  CHECK(Words("llama-bpe", "I'M 12345 ok!\n\n x\t\ty") == "I|'M| |123|45| ok|!\n\n| x|\t|\ty");
  CHECK(Words("qwen2", "a  12 \n  b") == "a| | |1|2| \n| | b");
  CHECK(Words("starcoder", "x12 y") == "x|1|2| y");
  CHECK(Words("refact", " 12") == " |1|2");
  CHECK(Words("falcon", "a==b 12345") == "a|==|b| |123|45");
  CHECK(Words("deepseek-coder", "int x = 12;\n世界 é!") == "int| x| = |1|2|;|\n|世界| é|!");
  // Its marks' range :-~ has the Latin letters in it.
  CHECK(Words("deepseek-llm", "été 12\n世,  ") == "é|t|é| |12|\n|世|,|  ");
  CHECK(Words("default", "a12345~`") == "a|123|45|~|`");
}

TEST_CASE("every character has a class; Unicode 15.1's too") {
  CHECK(ClassOf(U'a') == CharClass::kLetter);
  CHECK(ClassOf(U'\u0301') == CharClass::kMark);
  CHECK(ClassOf(U'\u2163') == CharClass::kNumber);
  CHECK(ClassOf(U'\u00A0') == CharClass::kSpace);
  CHECK(ClassOf(U'~') == CharClass::kSymbol);
  CHECK(ClassOf(U'_') == CharClass::kPunctuation);
  CHECK(ClassOf(U'\U0002EBF0') == CharClass::kLetter);
  CHECK(ClassOf(U'\u31EF') == CharClass::kSymbol);
  CHECK(ClassOf(0x7FFFFFFF) == CharClass::kOther);
}

TEST_CASE("long runs take no square of their length") {
  // At 2 MB a quadratic pass would take minutes; the time limit of the suite is the check.
  const auto bpe = Tokenizer::FromMetadata(
      BpeMetadata({"a", "Ġ", "aa", "ĠĠ", "aaaa", "="}, {"a a", "Ġ Ġ", "aa aa"}, "llama-bpe"));
  const std::string run(size_t{1} << 21, 'a');
  CHECK(bpe->Encode(run, false, true).size() == run.size() / 4);
  CHECK(bpe->Encode(std::string(run.size(), ' '), false, true).size() == run.size() / 2);
}

// The encodings by the tokenizers library, with the vocabulary as its own file has it.
TEST_CASE("a small Llama 3's texts encode as with the tokenizers library") {
  const auto folder = testing::TestData("models/families/llama3-scaled");
  const auto file = nlohmann::json::parse(testing::ReadText(folder / "tokenizer.json"));
  std::vector<std::string> merges;
  std::vector<std::pair<TokenId, std::string>> tokens;
  for (const auto& [text, id] : file["model"]["vocab"].items()) tokens.emplace_back(id, text);
  for (const auto& merge : file["model"]["merges"]) {
    merges.push_back(merge[0].get<std::string>() + " " + merge[1].get<std::string>());
  }
  for (const auto& added : file["added_tokens"]) tokens.emplace_back(added["id"], added["content"]);
  std::sort(tokens.begin(), tokens.end());
  std::vector<std::string> texts;
  std::vector<int32_t> types(tokens.size(), static_cast<int32_t>(TokenType::kNormal));
  for (const auto& [id, text] : tokens) texts.push_back(text);
  for (const auto& added : file["added_tokens"]) {
    types[added["id"].get<size_t>()] = static_cast<int32_t>(TokenType::kControl);
  }
  Metadata metadata = BpeMetadata(texts, merges, "llama-bpe");
  metadata.Set(keys::kTokenTypes, Array::Of<int32_t>(types));
  const auto bpe = Tokenizer::FromMetadata(metadata);
  const auto wanted = nlohmann::json::parse(testing::ReadText(folder / "tokens.json"));
  REQUIRE(wanted["cases"].size() > 10);
  for (const auto& one : wanted["cases"]) {
    CAPTURE(one["text"].get<std::string>());
    CHECK(bpe->Encode(one["text"].get<std::string>(), false, true) == one["ids"].get<Ids>());
  }
}

}  // namespace quern
