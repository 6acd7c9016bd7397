#include "model/tokenizer/tokenizer.h"

#include <charconv>
#include <limits>

#include "base/error.h"
#include "gguf/keys.h"
#include "model/tokenizer/vocab_tokenizer.h"

namespace quern {
namespace {

// The byte that "<0xNN>" stands for.
std::optional<char> ByteOf(std::string_view text) {
  unsigned byte = 0;
  if (text.size() != 6 || text.substr(0, 3) != "<0x" || text[5] != '>') return std::nullopt;
  const auto [end, error] = std::from_chars(text.data() + 3, text.data() + 5, byte, 16);
  if (error != std::errc() || end != text.data() + 5) return std::nullopt;
  return static_cast<char>(byte);
}

}  // namespace

std::unique_ptr<Tokenizer> Tokenizer::FromMetadata(const Metadata& metadata) {
  const std::string model = metadata.NeedText(keys::kTokenizerModel);
  if (model == "llama") return MakeSpm(metadata);
  if (model == "gpt2") return MakeBpe(metadata);
  Fail(ErrorKind::kUnsupported,
       "{}: tokenizers of kind '{}' are not supported (llama and gpt2 are)", metadata.name(),
       model);
}

std::string Tokenizer::Decode(std::span<const TokenId> ids, bool special) const {
  std::string text;
  bool at_start = true;
  for (const TokenId id : ids) {
    const std::string piece = Piece(id, special);
    // The space that Encode put before the text is none of it.
    const bool prefixed = at_start && adds_space_prefix() && !piece.empty() && piece[0] == ' ';
    if (!Piece(id, false).empty()) at_start = false;
    text.append(piece, prefixed ? 1 : 0);
  }
  return text;
}

std::vector<TokenId> VocabTokenizer::Encode(std::string_view text, bool add_special,
                                            bool parse_special) const {
  if (text.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max()) / 4) {
    Fail(ErrorKind::kUnsupported, "a text of {} bytes is too long to encode at once", text.size());
  }
  std::vector<TokenId> ids;
  if (add_special && vocab_.adds_bos()) ids.push_back(vocab_.bos());
  Before before = Before::kNothing;
  for (const Fragment& fragment : partition_.Cut(text, parse_special)) {
    if (fragment.token >= 0) {
      ids.push_back(fragment.token);
      before = Before::kSpecialToken;
    } else {
      EncodeText(text.substr(fragment.begin, fragment.size), before, ids);
      before = Before::kText;
    }
  }
  if (add_special && vocab_.adds_eos()) ids.push_back(vocab_.eos());
  return ids;
}

std::string VocabTokenizer::Piece(TokenId id, bool special) const {
  if (id < 0 || id >= size()) {
    Fail(ErrorKind::kBadInput, "token {} is none of the vocabulary's {}", id, size());
  }
  const Token& token = vocab_[id];
  if (token.Is(kTraitControl | kTraitUnknown)) return special ? token.text : "";
  if (token.Is(kTraitUserDefined)) return token.text;
  if (token.Is(kTraitByte)) {
    const auto byte = ByteOf(token.text);
    return byte ? std::string(1, *byte) : token.text;
  }
  return token.Is(kTraitNormal) ? BytesOf(token.text) : "";
}

}  // namespace quern
