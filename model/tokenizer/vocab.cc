#include "model/tokenizer/vocab.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>

#include "base/error.h"
#include "gguf/keys.h"

namespace quern {
namespace {

uint16_t TraitsOf(int64_t type) {
  switch (type) {
    case static_cast<int64_t>(TokenType::kNormal):
      return kTraitNormal;
    case static_cast<int64_t>(TokenType::kUnknown):
      return kTraitUnknown;
    case static_cast<int64_t>(TokenType::kControl):
      return kTraitControl;
    case static_cast<int64_t>(TokenType::kUserDefined):
      return kTraitUserDefined;
    case static_cast<int64_t>(TokenType::kUnused):
      return kTraitUnused;
    case static_cast<int64_t>(TokenType::kByte):
      return kTraitByte;
    default:
      return 0;
  }
}

size_t HashOf(std::string_view text) { return std::hash<std::string_view>()(text); }
uint32_t TagOf(size_t hash) { return static_cast<uint32_t>(static_cast<uint64_t>(hash) >> 32); }

// The array `key` if it is there: `size` numbers, or kBadInput.
const Array* FindNumbers(const Metadata& metadata, std::string_view key, size_t size) {
  const Array* array = metadata.FindArray(key);
  if (!array) return nullptr;
  if (array->type() == ValueType::kString || array->type() == ValueType::kBool) {
    Fail(ErrorKind::kBadInput, "{}: key '{}' should hold numbers, it holds {}", metadata.name(),
         key, NameOf(array->type()));
  }
  if (array->size() != size) {
    Fail(ErrorKind::kBadInput, "{}: key '{}' has {} elements for {} tokens", metadata.name(), key,
         array->size(), size);
  }
  return array;
}

}  // namespace

Vocab::Vocab(const Metadata& metadata, const VocabDefaults& defaults) {
  ReadTokens(metadata);
  ReadSpecialIds(metadata, defaults);
  FindEnds(metadata);
  CorrectHarmony();
  SetStrips(metadata);
}

void Vocab::ReadTokens(const Metadata& metadata) {
  const Array& list = metadata.NeedArray(keys::kTokens);
  const size_t count = list.size();
  if (list.type() != ValueType::kString) {
    Fail(ErrorKind::kBadInput, "{}: key '{}' should hold strings, it holds {}", metadata.name(),
         keys::kTokens, NameOf(list.type()));
  }
  if (count == 0 || count > static_cast<size_t>(std::numeric_limits<TokenId>::max())) {
    Fail(ErrorKind::kBadInput, "{}: key '{}' has {} tokens", metadata.name(), keys::kTokens, count);
  }
  const Array* scores = FindNumbers(metadata, keys::kScores, count);
  const Array* types = FindNumbers(metadata, keys::kTokenTypes, count);
  const auto score_of = scores ? scores->ToDoubles() : std::vector<double>(count, 0.0);
  const auto type_of = types ? types->ToInts() : std::vector<int64_t>(count, 1);
  if (type_of.size() != count) {
    Fail(ErrorKind::kBadInput, "{}: key '{}' should hold integers, it holds {}", metadata.name(),
         keys::kTokenTypes, NameOf(types->type()));
  }
  tokens_.resize(count);
  slots_.resize(std::bit_ceil(2 * count));
  for (size_t i = 0; i < count; ++i) {
    Token& token = tokens_[i];
    token.text = list.strings()[i].empty() ? fmt::format("[EMPTY_{}]", i) : list.strings()[i];
    token.score = static_cast<float>(score_of[i]);
    token.traits = TraitsOf(type_of[i]);
    longest_ = std::max(longest_, token.text.size());
    if (std::isnan(token.score)) {
      Fail(ErrorKind::kBadInput, "{}: the score of token {} is no number", metadata.name(), i);
    }
    Slot& slot = slots_[SlotOf(token.text)];
    if (slot.id >= 0) {
      Fail(ErrorKind::kBadInput, "{}: tokens {} and {} are both '{}'", metadata.name(), slot.id, i,
           token.text);
    }
    slot = {TagOf(HashOf(token.text)), static_cast<TokenId>(i)};
  }
}

size_t Vocab::SlotOf(std::string_view text) const {
  const size_t mask = slots_.size() - 1, hash = HashOf(text);
  for (size_t i = hash & mask;; i = (i + 1) & mask) {
    const Slot& slot = slots_[i];
    if (slot.id < 0 || (slot.tag == TagOf(hash) && (*this)[slot.id].text == text)) return i;
  }
}

TokenId Vocab::FindByte(uint8_t byte) const {
  const TokenId id = Find(fmt::format("<0x{:02X}>", byte));
  const char raw = static_cast<char>(byte);
  return id >= 0 ? id : Find(std::string_view(&raw, 1));
}

TokenId Vocab::ReadId(const Metadata& metadata, std::string_view key, TokenId otherwise) const {
  const auto id = metadata.Int(key);
  if (!id) return otherwise < size() ? otherwise : -1;
  if (*id < 0 || *id >= size()) {
    Fail(ErrorKind::kBadInput, "{}: key '{}' is {}, the vocabulary has {} tokens", metadata.name(),
         key, *id, size());
  }
  return static_cast<TokenId>(*id);
}

void Vocab::ReadSpecialIds(const Metadata& metadata, const VocabDefaults& defaults) {
  bos_ = ReadId(metadata, keys::kBosId, defaults.bos);
  eos_ = ReadId(metadata, keys::kEosId, defaults.eos);
  unknown_ = ReadId(metadata, keys::kUnknownId, defaults.unknown);
  separator_ = ReadId(metadata, "tokenizer.ggml.seperator_token_id", defaults.separator);
  add_bos_ = metadata.Bool(keys::kAddBos).value_or(defaults.add_bos) && bos_ >= 0;
  add_eos_ = metadata.Bool(keys::kAddEos).value_or(defaults.add_eos) && eos_ >= 0;
  add_space_prefix_ = metadata.Bool(keys::kAddSpacePrefix).value_or(defaults.add_space_prefix);
}

void Vocab::Add(std::string_view text, uint16_t traits) {
  const TokenId id = Find(text);
  if (id >= 0) tokens_[static_cast<size_t>(id)].traits |= traits;
}

// jina's and ModernBERT's mask takes the space before it; Phi-3's special tokens that behind them.
// GGUF has no key for it, so the reference goes by names (llama-vocab.cpp).
void Vocab::SetStrips(const Metadata& metadata) {
  const auto contains_any = [](const std::string& text, auto... parts) {
    return ((text.find(parts) != std::string::npos) || ...);
  };
  std::string name = metadata.Text(keys::kName).value_or("");
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  const std::string pre = metadata.Text(keys::kTokenizerPre).value_or("");
  const std::string arch = metadata.Text(keys::kArchitecture).value_or("");
  if (contains_any(pre, "jina-v2-de", "jina-v2-es", "jina-v2-code") ||
      contains_any(arch, "nomic-bert-moe", "jina-bert-v3")) {
    Add("<mask>", kTraitLeftStrip);
  } else if (contains_any(name, "phi-3", "phi3")) {
    for (Token& token : tokens_) {
      if (token.Is(kTraitControl | kTraitUserDefined | kTraitUnknown) || token.text == "</s>") {
        token.traits |= kTraitRightStrip;
      }
      if (token.text == "<unk>" || token.text == "<s>" || token.text == "<|endoftext|>") {
        token.traits &= static_cast<uint16_t>(~kTraitRightStrip);
      }
    }
  } else if (contains_any(name, "modern-bert")) {
    Add("[MASK]", kTraitLeftStrip);
  }
}

}  // namespace quern
