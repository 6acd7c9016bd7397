#include "convert/vocabulary_check.h"

#include "base/error.h"
#include "model/tokenizer/tokenizer.h"

namespace quern {
namespace {

// Words, figures, punctuation, line ends, runs of spaces, accents, scripts and emoji.
constexpr std::string_view kTexts[] = {
    "Hello, world! It's 3 o'clock; WE'LL see.",
    "  two  spaces,\ttabs\n\nand line ends\r\n",
    "1234567890 + 3.14 = 1234567893.14 (approx.)",
    "Größe, naïveté, Ελληνικά, русский, 日本語, 한국어, हिन्दी",
    "🚀 emoji 👩‍👩‍👧 \u200b end",
    "for (int i = 0; i < n; ++i) { x[i] += \"s\"; }",
};

// Whether the text is the same again; a space more or less in front is SentencePiece's way.
bool ComesBack(const Tokenizer& tokenizer, std::string_view text) {
  const std::string decoded = tokenizer.Decode(tokenizer.Encode(text, false, false));
  return decoded == text || decoded == " " + std::string(text) || " " + decoded == text;
}

}  // namespace

std::vector<std::string> VocabularyDoubts(const Metadata& keys) {
  std::unique_ptr<Tokenizer> tokenizer;
  try {
    tokenizer = Tokenizer::FromMetadata(keys);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kUnsupported) throw;
    return {fmt::format("the vocabulary could not be tried: {}", error.what())};
  }
  std::vector<std::string> doubts;
  for (const std::string_view text : kTexts) {
    if (!ComesBack(*tokenizer, text)) {
      doubts.push_back(
          fmt::format("the vocabulary does not give '{:.24}...' back: a tokenizer that changes its "
                      "text, or that lacks characters",
                      text));
    }
  }
  return doubts;
}

}  // namespace quern
