#include "convert/sentencepiece_vocabulary.h"

#include <algorithm>

#include "base/error.h"

namespace quern {
namespace {

// The reference's score for tokens that were added after the training.
constexpr float kAddedScore = -1000;

SentencePieceModel ReadModel(std::span<const std::byte> bytes, const std::string& name,
                             Progress& progress) {
  SentencePieceModel model = ParseSentencePieceModel(bytes, name);
  if (model.algorithm != SentencePieceModel::Algorithm::kBpe) {
    Fail(ErrorKind::kUnsupported,
         "{}: is a SentencePiece model of another kind than BPE (model_type {}), which llama.cpp "
         "would encode otherwise",
         name, static_cast<int>(model.algorithm));
  }
  if (model.has_character_map) {
    progress.Note(fmt::format(
        "{}: normalizes characters before it encodes them, which llama.cpp does not", name));
  }
  if (model.removes_extra_spaces) {
    progress.Note(fmt::format(
        "{}: removes repeated spaces before it encodes them, which llama.cpp does not", name));
  }
  return model;
}

// How many places the vocabulary has: as many as the model says, or all that have a token.
int64_t CountOf(int64_t pieces, const std::vector<AddedToken>& legacy,
                const std::vector<AddedToken>& added, const VocabularyOptions& options) {
  if (options.vocab_size > 0) return options.vocab_size;
  int64_t count = pieces;
  for (const auto* list : {&legacy, &added}) {
    if (!list->empty()) count = std::max(count, list->back().id + 1);
  }
  return count;
}

bool Fits(int64_t id, const std::string& text, const Vocabulary& vocabulary, Progress& progress) {
  if (id < vocabulary.size()) return true;
  progress.Note(fmt::format("token {} ('{}') is left out, the model has {} tokens", id, text,
                            vocabulary.size()));
  return false;
}

}  // namespace

std::string WithSpaces(std::string text) {
  constexpr std::string_view kBlock = "\u2581";
  for (size_t at = text.find(kBlock); at != std::string::npos; at = text.find(kBlock, at + 1)) {
    text.replace(at, kBlock.size(), " ");
  }
  return text;
}

Vocabulary SentencePieceVocabulary(const TokenizerFiles& files, std::span<const std::byte> bytes,
                                   const VocabularyOptions& options, Progress& progress) {
  const SentencePieceModel model = ReadModel(bytes, files.sentencepiece().string(), progress);
  const auto legacy = files.LegacyAddedTokens();
  const auto added = files.ConfigAddedTokens();
  const auto pieces = static_cast<int64_t>(model.pieces.size());

  Vocabulary vocabulary;
  vocabulary.model = "llama";
  vocabulary.Grow(CountOf(pieces, legacy, added, options));
  if (pieces > vocabulary.size()) {
    progress.Note(fmt::format("{}: the last {} of its {} tokens are left out, the model has {}",
                              files.sentencepiece().string(), pieces - vocabulary.size(), pieces,
                              vocabulary.size()));
  }
  for (int64_t id = 0; id < std::min(pieces, vocabulary.size()); ++id) {
    const SentencePiece& piece = model.pieces[static_cast<size_t>(id)];
    // llama.cpp looks for user-defined tokens before spaces become blocks.
    const bool user = piece.type == TokenType::kUserDefined;
    vocabulary.Put(id, user ? WithSpaces(piece.text) : piece.text, piece.score, piece.type);
  }
  for (const AddedToken& token : legacy) {
    if (!Fits(token.id, token.text, vocabulary, progress)) continue;
    vocabulary.Put(token.id, token.text, kAddedScore, TokenType::kUserDefined);
  }
  for (const AddedToken& token : added) {
    if (!Fits(token.id, token.text, vocabulary, progress)) continue;
    const bool special = token.special || LooksSpecial(token.text);
    vocabulary.Put(token.id, special ? token.text : WithSpaces(token.text), kAddedScore,
                   special ? TokenType::kControl : TokenType::kUserDefined);
  }
  if (!model.adds_dummy_prefix) vocabulary.add_space_prefix = false;
  vocabulary.bos = model.bos;
  vocabulary.eos = model.eos;
  vocabulary.unk = model.unk;
  vocabulary.pad = model.pad;
  return vocabulary;
}

}  // namespace quern
