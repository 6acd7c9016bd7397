// The vocabularies that convert writes of SentencePiece models encode as the sentencepiece library
// itself does. Built where the library is installed.
#ifdef QUERN_HAVE_SENTENCEPIECE
#include <doctest/doctest.h>
#include <sentencepiece_processor.h>

#include "convert/hf_model.h"
#include "model/tokenizer/tokenizer.h"
#include "tests/support/paths.h"

namespace quern {
namespace {

std::vector<std::string> Texts() {
  std::vector<std::string> texts = {
      "",
      " ",
      "  two  spaces ",
      "\n\n\t tabs\tand line ends\r\n",
      "Hello, world! It's 3 o'clock; WE'LL see.",
      "1234567890 3.14159 1,000,000",
      "Größe, naïveté, Ελληνικά, русский, العربية, हिन्दी, ไทย",
      "日本語の文章と漢字、한국어도 있습니다",
      "🚀 emoji 👩‍👩‍👧 \u200b and \ufeff marks",
      "for (int i = 0; i < n; ++i) { x[i] += \"s\"; }",
      "\u2581block \u2581\u2581 blocks",
      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
  };
  if (const auto file = testing::Shared("models/eval-kjv.txt"); !file.empty()) {
    texts.push_back(testing::ReadText(file).substr(0, 20000));
  }
  return texts;
}

TEST_CASE("a tokenizer.model alone converts, and encodes as the sentencepiece library does") {
  int compared = 0;
  for (const char* file : {"tokenizers/mistral-v1.model", "tokenizers/mistral-v3.model",
                           "models/tiny-llama/tokenizer.model"}) {
    const auto path = testing::Shared(file);
    if (path.empty()) {
      testing::SaySkipped(std::string(file) + " is not there");
      continue;
    }
    CAPTURE(file);
    sentencepiece::SentencePieceProcessor library;
    REQUIRE(library.Load(path.string()).ok());
    NoProgress progress;
    ModelNameParts name;
    const Metadata keys = HfModel::Open(path, {}, progress).Keys(0, 1, progress, name);
    const auto ours = Tokenizer::FromMetadata(keys);
    CHECK(ours->size() == library.GetPieceSize());
    CHECK(ours->bos() == library.bos_id());
    CHECK(ours->eos() == library.eos_id());
    for (const std::string& text : Texts()) {
      CAPTURE(text);
      std::vector<int> wanted;
      REQUIRE(library.Encode(text, &wanted).ok());
      CHECK(ours->Encode(text, false, false) == wanted);
    }
    ++compared;
  }
  CHECK(compared >= 1);
}

}  // namespace
}  // namespace quern
#endif
