#include <algorithm>
#include <array>

#include "model/tokenizer/merge_pairs.h"
#include "model/tokenizer/unicode.h"
#include "model/tokenizer/vocab_tokenizer.h"

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

// SentencePiece's BPE: neighbours whose texts together are a token merge, the highest score first;
// characters that are no token become bytes.
class Spm : public VocabTokenizer {
 public:
  explicit Spm(const Metadata& metadata)
      : VocabTokenizer(
            metadata,
            {.bos = 1, .eos = 2, .unknown = 0, .add_bos = true, .add_space_prefix = true}) {
    for (size_t byte = 0; byte < bytes_.size(); ++byte) {
      const TokenId id = vocab().FindByte(static_cast<uint8_t>(byte));
      bytes_[byte] = id >= 0 ? id : vocab().unknown();
    }
  }

 private:
  void EncodeText(std::string_view raw, bool at_start, std::vector<TokenId>& out) const override {
    const bool prefix = at_start && vocab().adds_space_prefix();
    const std::string text = Replace((prefix ? " " : "") + std::string(raw), " ", kSpace);
    std::vector<Symbol> symbols;
    for (size_t begin = 0; begin < text.size();) {
      const size_t size = std::min(Utf8Length(text[begin]), text.size() - begin);
      symbols.push_back({-1, static_cast<uint32_t>(begin), static_cast<uint32_t>(size), -1, -1});
      begin += size;
    }
    LinkSymbols(symbols);
    MergePairs(symbols, [&](const Symbol& left, const Symbol& right) -> PairMerge {
      const size_t size = left.size + right.size;
      if (size > vocab().longest()) return {};
      const TokenId id = vocab().Find(std::string_view(text).substr(left.begin, size));
      if (id < 0) return {};
      return {true, -static_cast<double>(vocab()[id].score), id};
    });
    for (const Symbol& symbol : symbols) {
      if (symbol.size)
        Append(std::string_view(text).substr(symbol.begin, symbol.size), symbol, out);
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

  std::array<TokenId, 256> bytes_;  // of each byte: its token, the unknown one, or -1
};

}  // namespace

std::unique_ptr<Tokenizer> MakeSpm(const Metadata& metadata) {
  return std::make_unique<Spm>(metadata);
}

}  // namespace quern
