#include <array>
#include <unordered_map>

#include "base/error.h"
#include "gguf/keys.h"
#include "model/tokenizer/merge_pairs.h"
#include "model/tokenizer/pretokenizer.h"
#include "model/tokenizer/unicode.h"
#include "model/tokenizer/vocab_tokenizer.h"
#include "model/tokenizer/word_cache.h"

namespace quern {
namespace {

// GPT-2's spelling of bytes: the printable ones of Latin-1 as themselves, the other 68 as the
// characters from U+0100 on (openai/gpt-2, encoder.py, bytes_to_unicode).
struct ByteSpelling {
  ByteSpelling() {
    char32_t next = 0x100;
    for (size_t byte = 0; byte < 256; ++byte) {
      const bool printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
      const char32_t code = printable ? static_cast<char32_t>(byte) : next++;
      AppendUtf8(code, text[byte]);
      byte_of[code] = static_cast<char>(byte);
    }
  }
  std::array<std::string, 256> text;
  std::unordered_map<char32_t, char> byte_of;
};

const ByteSpelling& Spelling() {
  static const ByteSpelling spelling;
  return spelling;
}

const PreTokenizer& PreTokenizerOf(const Metadata& metadata) {
  const std::string name = metadata.Text(keys::kTokenizerPre).value_or("");
  const PreTokenizer* pre = FindPreTokenizer(name);
  if (!pre) {
    Fail(ErrorKind::kUnsupported, "{}: the pre-tokenizer '{}' is not known", metadata.name(), name);
  }
  return *pre;
}

VocabDefaults DefaultsOf(const PreTokenizer& pre) {
  return {.bos = pre.has_bos ? 11 : -1, .eos = 11, .add_bos = pre.adds_bos};
}

// Byte-level BPE (GPT-2): words of the pre-tokenizer, spelled byte by byte, merged by the ranks of
// tokenizer.ggml.merges. The texts that merges speak of are numbered; a symbol's id is that number.
class Bpe : public VocabTokenizer {
 public:
  Bpe(const Metadata& metadata, const PreTokenizer& pre)
      : VocabTokenizer(metadata, DefaultsOf(pre)), pre_(pre) {
    for (size_t byte = 0; byte < 256; ++byte) byte_ids_[byte] = Number(Spelling().text[byte]);
    ReadMerges(metadata);
  }

 private:
  struct Merge {
    uint32_t rank;
    int32_t id;
  };
  static uint64_t Key(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }

  int32_t Number(const std::string& text) {
    const auto [place, added] = numbers_.try_emplace(text, static_cast<int32_t>(tokens_.size()));
    if (added) tokens_.push_back(vocab().Find(text));
    return place->second;
  }

  void ReadMerges(const Metadata& metadata) {
    const Array& list = metadata.NeedArray(keys::kMerges);
    if (list.type() != ValueType::kString || list.size() > (size_t{1} << 28)) {
      Fail(ErrorKind::kBadInput, "{}: key '{}' should hold strings, it holds {} of type {}",
           metadata.name(), keys::kMerges, list.size(), NameOf(list.type()));
    }
    merges_.reserve(list.size());
    for (size_t rank = 0; rank < list.size(); ++rank) {
      const std::string& merge = list.strings()[rank];
      const size_t space = merge.find(' ', 1);
      if (space == std::string::npos) {
        Fail(ErrorKind::kBadInput,
             "{}: merge {} should be two texts with a space between, it is '{}'", metadata.name(),
             rank, merge);
      }
      const std::string left = merge.substr(0, space), right = merge.substr(space + 1);
      const int32_t left_id = Number(left), right_id = Number(right);
      merges_.try_emplace(Key(left_id, right_id),
                          Merge{static_cast<uint32_t>(rank), Number(left + right)});
    }
  }

  void EncodeText(std::string_view raw, Before, std::vector<TokenId>& out) const override {
    const Characters text(raw);
    std::vector<Symbol> symbols;
    WordCache cache;
    for (const Range& range : pre_.Split(text)) {
      const size_t begin = text.begins[range.begin];
      const std::string_view word(text.utf8.data() + begin, text.begins[range.end] - begin);
      cache.Append(word, out, [&](std::string_view bytes, std::vector<TokenId>& ids) {
        EncodeWord(bytes, symbols, ids);
      });
    }
  }

  static std::string Spell(std::string_view bytes) {
    std::string text;
    for (const char c : bytes) text += Spelling().text[static_cast<uint8_t>(c)];
    return text;
  }

  void EncodeWord(std::string_view word, std::vector<Symbol>& symbols,
                  std::vector<TokenId>& out) const {
    if (pre_.whole_words) {
      const TokenId id = vocab().Find(Spell(word));
      if (id >= 0) {
        out.push_back(id);
        return;
      }
    }
    symbols.clear();
    for (size_t i = 0; i < word.size(); ++i) {
      symbols.push_back(
          {byte_ids_[static_cast<uint8_t>(word[i])], static_cast<uint32_t>(i), 1, -1, -1});
    }
    LinkSymbols(symbols);
    MergePairs(symbols, [&](const Symbol& left, const Symbol& right) -> PairMerge {
      const auto found = merges_.find(Key(left.id, right.id));
      if (found == merges_.end()) return {};
      return {true, found->second.rank, found->second.id};
    });
    for (const Symbol& symbol : symbols) {
      if (symbol.size) Append(word.substr(symbol.begin, symbol.size), symbol, out);
    }
  }

  // What merges made but the vocabulary lacks is taken apart into the bytes of its spelling; those
  // that are no token either are lost, as they are to the reference.
  void Append(std::string_view bytes, const Symbol& symbol, std::vector<TokenId>& out) const {
    const TokenId id = tokens_[static_cast<size_t>(symbol.id)];
    if (id >= 0) {
      out.push_back(id);
      return;
    }
    for (const char c : Spell(bytes)) {
      const TokenId byte = vocab().Find(std::string_view(&c, 1));
      if (byte >= 0) out.push_back(byte);
    }
  }

  std::string BytesOf(std::string_view token) const override {
    std::string bytes;
    for (size_t offset = 0; offset < token.size();) {
      const size_t begin = offset;
      const auto found = Spelling().byte_of.find(NextChar(token, &offset));
      if (found != Spelling().byte_of.end()) {
        bytes += found->second;
      } else {
        bytes += token.substr(begin, offset - begin);
      }
    }
    return bytes;
  }

  const PreTokenizer& pre_;
  std::unordered_map<std::string, int32_t> numbers_;  // of each text that merges speak of
  std::vector<TokenId> tokens_;                       // of each number, or -1
  std::unordered_map<uint64_t, Merge> merges_;
  std::array<int32_t, 256> byte_ids_;
};

}  // namespace

std::unique_ptr<Tokenizer> MakeBpe(const Metadata& metadata) {
  return std::make_unique<Bpe>(metadata, PreTokenizerOf(metadata));
}

}  // namespace quern
