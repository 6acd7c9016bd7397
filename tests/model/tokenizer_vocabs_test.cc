#include <doctest/doctest.h>

#include <sstream>

#include "gguf/gguf_reader.h"
#include "model/tokenizer/tokenizer.h"
#include "tests/support/paths.h"

namespace quern {
namespace {

std::vector<std::string> TestStrings(const std::string& file) {
  static const std::string kBetween = "\n__ggml_vocab_test__\n";
  std::vector<std::string> strings;
  size_t begin = 0;
  for (size_t at; (at = file.find(kBetween, begin)) != std::string::npos;) {
    strings.push_back(file.substr(begin, at - begin));
    begin = at + kBetween.size();
  }
  strings.push_back(file.substr(begin));
  return strings;
}

std::vector<std::vector<TokenId>> Encodings(const std::string& file) {
  std::vector<std::vector<TokenId>> encodings;
  std::istringstream lines(file);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream numbers(line);
    auto& ids = encodings.emplace_back();
    for (TokenId id; numbers >> id;) ids.push_back(id);
  }
  return encodings;
}

void CheckVocab(const std::filesystem::path& folder, const std::string& name) {
  CAPTURE(name);
  const std::string path = (folder / ("ggml-vocab-" + name + ".gguf")).string();
  const auto tokenizer = Tokenizer::FromMetadata(GgufModel::Open(path)->metadata());
  const auto strings = TestStrings(testing::ReadText(path + ".inp"));
  const auto wanted = Encodings(testing::ReadText(path + ".out"));
  REQUIRE(wanted.size() > 40);
  REQUIRE(strings.size() >= wanted.size());
  for (size_t i = 0; i < wanted.size(); ++i) {
    CAPTURE(strings[i]);
    CHECK(tokenizer->Encode(strings[i], false, false) == wanted[i]);
  }
}

}  // namespace

TEST_CASE("the reference's encodings of its test strings") {
  QUERN_NEEDS_SHARED(folder, "vocabs");
  for (const char* name :
       {"llama-spm", "phi-3", "gpt-2", "falcon", "starcoder", "deepseek-coder"}) {
    CheckVocab(folder, name);
  }
}

}  // namespace quern
