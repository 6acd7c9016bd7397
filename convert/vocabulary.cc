#include "convert/vocabulary.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "convert/json_fields.h"
#include "convert/sentencepiece_vocabulary.h"
#include "convert/tokenizer_files.h"
#include "convert/tokenizer_json.h"
#include "gguf/keys.h"

namespace quern {
namespace {

// The reference's score for a place that no token has.
constexpr float kUnusedScore = -10000;

Vocabulary ReadFrom(const TokenizerFiles& files, const VocabularyOptions& options,
                    Progress& progress) {
  const auto model = files.sentencepiece();
  if (!model.empty()) {
    const MappedFile bytes(model);
    if (LooksLikeSentencePiece(bytes.bytes())) {
      return SentencePieceVocabulary(files, bytes.bytes(), options, progress);
    }
    if (!files.tokenizer_json()) {
      Fail(ErrorKind::kUnsupported, "{}: is no SentencePiece model", model.string());
    }
    progress.Note(fmt::format("{}: is no SentencePiece model, tokenizer.json is read instead",
                              model.string()));
  }
  if (files.tokenizer_json()) return TokenizerJsonVocabulary(files, options, progress);
  Fail(ErrorKind::kUnsupported,
       "{}: has neither tokenizer.model nor tokenizer.json; other tokenizers are not supported",
       files.NameOf(""));
}

}  // namespace

void Vocabulary::Grow(int64_t count) {
  for (int64_t id = size(); id < count; ++id) {
    tokens.push_back(fmt::format("[PAD{}]", id));
    scores.push_back(kUnusedScore);
    types.push_back(TokenType::kUnused);
  }
}

void Vocabulary::Put(int64_t id, std::string text, float score, TokenType type) {
  QUERN_CHECK(id >= 0 && id < size());
  const auto place = static_cast<size_t>(id);
  tokens[place] = std::move(text);
  scores[place] = score;
  types[place] = type;
}

Vocabulary ReadVocabulary(const TokenizerFiles& files, const VocabularyOptions& options,
                          Progress& progress) {
  Vocabulary vocabulary = ReadFrom(files, options, progress);
  const auto* config = files.Json("tokenizer_config.json");
  if (config && options.reads_add_prefix_space) {
    const JsonFields fields(*config, files.NameOf("tokenizer_config.json"));
    if (const auto prefix = fields.Bool("add_prefix_space")) vocabulary.add_space_prefix = prefix;
  }
  return vocabulary;
}

void SetVocabularyKeys(const Vocabulary& vocabulary, Metadata& keys) {
  if (vocabulary.add_space_prefix) {
    keys.Set(keys::kAddSpacePrefix, *vocabulary.add_space_prefix);
  }
  if (!vocabulary.space_prefix_rule.empty()) {
    keys.Set(keys::kSpacePrefixRule, vocabulary.space_prefix_rule);
  }
  keys.Set(keys::kTokenizerModel, vocabulary.model);
  keys.Set(keys::kTokenizerPre, vocabulary.pre);
  keys.Set(keys::kTokens, Array(vocabulary.tokens));
  if (vocabulary.model == "llama") {
    keys.Set(keys::kScores, Array::Of<float>(vocabulary.scores));
  }
  std::vector<int32_t> types;
  for (const TokenType type : vocabulary.types) types.push_back(static_cast<int32_t>(type));
  keys.Set(keys::kTokenTypes, Array::Of<int32_t>(types));
  if (!vocabulary.merges.empty()) keys.Set(keys::kMerges, Array(vocabulary.merges));
}

}  // namespace quern
