#include <algorithm>
#include <array>
#include <bit>

#include "gguf/keys.h"
#include "model/tokenizer/merge_pairs.h"
#include "model/tokenizer/unicode.h"
#include "model/tokenizer/vocab_tokenizer.h"
#include "model/tokenizer/word_cache.h"

namespace quern {
namespace {

constexpr std::string_view kSpace = "\xE2\x96\x81";  // U+2581, which stands for a space

std::string Replace(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  out.reserve(text.size());
  size_t begin = 0;
  for (size_t at; (at = text.find(from, begin)) != std::string_view::npos;) {
    out.append(text.substr(begin, at - begin)).append(to);
    begin = at + from.size();
  }
  return out.append(text.substr(begin));
}

// A number that is the lower the higher the score: the bits of a float in order, turned round.
uint32_t HighestFirst(float score) {
  const auto bits = std::bit_cast<uint32_t>(score + 0.0f);  // -0 is 0
  return bits >> 31 ? bits : ~bits & 0x7FFFFFFF;
}

// SentencePiece's BPE: neighbours whose texts together are a token merge, the highest score first;
// characters that are no token become bytes.
class Spm : public VocabTokenizer {
 public:
  explicit Spm(const Metadata& metadata)
      : VocabTokenizer(
            metadata,
            {.bos = 1, .eos = 2, .unknown = 0, .add_bos = true, .add_space_prefix = true}),
        prefix_rule_(RuleOf(metadata)) {
    for (size_t byte = 0; byte < bytes_.size(); ++byte) {
      const TokenId id = vocab().FindByte(static_cast<uint8_t>(byte));
      bytes_[byte] = id >= 0 ? id : vocab().unknown();
    }
    for (TokenId id = 0; id < vocab().size(); ++id) {
      const std::string& text = vocab()[id].text;
      for (size_t at = 1; (at = text.find(kSpace, at)) != std::string::npos; ++at) {
        before_space_[static_cast<uint8_t>(text[at - 1])] = true;
      }
    }
  }

 private:
  bool TakesPrefix(std::string_view raw, Before before) const {
    if (!vocab().adds_space_prefix() || before == Before::kText) return false;
    if (prefix_rule_ == PrefixRule::kAny) return true;
    if (prefix_rule_ == PrefixRule::kFirst && before != Before::kNothing) return false;
    return !raw.starts_with(' ') && !raw.starts_with(kSpace);
  }

  void EncodeText(std::string_view raw, Before before, std::vector<TokenId>& out) const override {
    const bool prefix = TakesPrefix(raw, before);
    const std::string text = Replace((prefix ? " " : "") + std::string(raw), " ", kSpace);
    std::vector<Symbol> symbols;
    WordCache cache;
    size_t begin = 0;
    // No merge goes over the beginning of a word, so each can be done alone.
    for (size_t end = 0; end < text.size();) {
      const std::string_view next = std::string_view(text).substr(end);
      if (end > begin && next.substr(0, kSpace.size()) == kSpace &&
          !before_space_[static_cast<uint8_t>(text[end - 1])]) {
        AppendWord(std::string_view(text).substr(begin, end - begin), symbols, cache, out);
        begin = end;
      }
      end += std::min(Utf8Length(next[0]), next.size());
    }
    if (begin < text.size()) {
      AppendWord(std::string_view(text).substr(begin), symbols, cache, out);
    }
  }

  void AppendWord(std::string_view word, std::vector<Symbol>& symbols, WordCache& cache,
                  std::vector<TokenId>& out) const {
    cache.Append(word, out, [&](std::string_view bytes, std::vector<TokenId>& ids) {
      EncodeWord(bytes, symbols, ids);
    });
  }

  void EncodeWord(std::string_view word, std::vector<Symbol>& symbols,
                  std::vector<TokenId>& out) const {
    symbols.clear();
    for (size_t begin = 0; begin < word.size();) {
      const size_t size = std::min(Utf8Length(word[begin]), word.size() - begin);
      symbols.push_back({-1, static_cast<uint32_t>(begin), static_cast<uint32_t>(size), -1, -1});
      begin += size;
    }
    LinkSymbols(symbols);
    MergePairs(symbols, [&](const Symbol& left, const Symbol& right) -> PairMerge {
      const size_t size = left.size + right.size;
      if (size > vocab().longest()) return {};
      const TokenId id = vocab().Find(word.substr(left.begin, size));
      if (id < 0) return {};
      return {true, HighestFirst(vocab()[id].score), id};
    });
    for (const Symbol& symbol : symbols) {
      if (symbol.size) Append(word.substr(symbol.begin, symbol.size), symbol, out);
    }
  }

  void Append(std::string_view text, const Symbol& symbol, std::vector<TokenId>& out) const {
    const TokenId id = symbol.id >= 0 ? symbol.id : vocab().Find(text);
    if (id >= 0) {
      out.push_back(id);
      return;
    }
    for (const char c : text) {
      const TokenId byte = bytes_[static_cast<uint8_t>(c)];
      if (byte >= 0) out.push_back(byte);
    }
  }

  std::string BytesOf(std::string_view token) const override { return Replace(token, kSpace, " "); }

  // Before which text a space is put: before any, as SentencePiece does, or where it has none.
  enum class PrefixRule { kAny, kFirst, kAlways };
  static PrefixRule RuleOf(const Metadata& metadata) {
    const auto rule = metadata.Text(keys::kSpacePrefixRule);
    if (!rule) return PrefixRule::kAny;
    return *rule == "first" ? PrefixRule::kFirst : PrefixRule::kAlways;
  }

  PrefixRule prefix_rule_;
  std::array<bool, 256> before_space_ = {};  // bytes that stand before a space in some token
  std::array<TokenId, 256> bytes_;           // of each byte: its token, the unknown one, or -1
};

}  // namespace

std::unique_ptr<Tokenizer> MakeSpm(const Metadata& metadata) {
  return std::make_unique<Spm>(metadata);
}

}  // namespace quern
