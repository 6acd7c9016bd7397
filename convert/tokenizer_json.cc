#include "convert/tokenizer_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "base/error.h"
#include "convert/json_fields.h"
#include "convert/pre_tokenizer_name.h"
#include "convert/sentencepiece_vocabulary.h"

namespace quern {
using nlohmann::json;
namespace {

constexpr int64_t kMaxId = int64_t{1} << 22;
constexpr std::string_view kBlock = "\u2581";  // stands for a space

using Merge = std::pair<std::string, std::string>;

// The normalizers, pre-tokenizers or decoders of a file, out of their Sequence.
std::vector<JsonFields> StepsOf(const JsonFields& fields, std::string_view key,
                                std::string_view list_key) {
  const auto object = fields.Object(key);
  if (!object) return {};
  if (object->Text("type") != "Sequence") return {*object};
  std::vector<JsonFields> steps;
  if (const json* list = object->Array(list_key)) {
    for (const json& step : *list) steps.emplace_back(step, object->name());
  }
  return steps;
}

bool HasStep(const std::vector<JsonFields>& steps, std::string_view type) {
  return std::any_of(steps.begin(), steps.end(),
                     [&](const JsonFields& step) { return step.Text("type") == type; });
}

class JsonTokenizer {
 public:
  JsonTokenizer(const TokenizerFiles& files, const VocabularyOptions& options, Progress& progress)
      : files_(files),
        options_(options),
        progress_(progress),
        file_(files.tokenizer_json_name()),
        fields_(*files.tokenizer_json(), file_),
        model_(fields_.NeedObject("model")),
        normalizers_(StepsOf(fields_, "normalizer", "normalizers")),
        pre_tokenizers_(StepsOf(fields_, "pre_tokenizer", "pretokenizers")) {}

  Vocabulary Read() {
    const std::string type = model_.Text("type").value_or(model_.Has("merges") ? "BPE" : "?");
    if (type != "BPE") {
      Fail(ErrorKind::kUnsupported,
           "{}: a tokenizer of the kind '{}' is not supported, only BPE (byte-level or "
           "SentencePiece's)",
           file_, type);
    }
    const bool byte_level = HasStep(pre_tokenizers_, "ByteLevel") ||
                            HasStep(StepsOf(fields_, "decoder", "decoders"), "ByteLevel");
    if (!byte_level && !IsSentencePiece()) {
      Fail(ErrorKind::kUnsupported,
           "{}: is neither a byte-level BPE nor one of SentencePiece's kind (blocks for spaces and "
           "byte_fallback)",
           file_);
    }
    ReadTokens();
    ReadMerges();
    return byte_level ? ByteLevel() : OfSentencePieceKind();
  }

 private:
  bool IsSentencePiece() const {
    if (!model_.Bool("byte_fallback").value_or(false)) return false;
    return HasStep(pre_tokenizers_, "Metaspace") || HasStep(normalizers_, "Replace");
  }

  // Every token with its id, in vocab and added ones, at its place.
  void ReadTokens() {
    const JsonFields tokens = model_.NeedObject("vocab");
    const json& vocab = files_.tokenizer_json()->at("model").at("vocab");
    int64_t count = options_.vocab_size;
    for (const auto& [text, id] : vocab.items()) {
      if (!id.is_number_integer()) tokens.FailType(text, "an integer", id);
      Reserve(*tokens.Int(text, 0, kMaxId), text, count);
    }
    const std::vector<AddedToken> added = AddedTokens();
    for (const AddedToken& token : added) Reserve(token.id, token.text, count);
    vocabulary_.Grow(count);
    for (const auto& [text, id] : vocab.items()) {
      vocabulary_.Put(id.get<int64_t>(), text, 0, TokenType::kNormal);
      ids_[text] = id.get<int64_t>();
    }
    for (const AddedToken& token : added) {
      const bool special = token.special || LooksSpecial(token.text);
      vocabulary_.Put(token.id, special ? token.text : WithSpaces(token.text), 0,
                      special ? TokenType::kControl : TokenType::kUserDefined);
    }
  }

  void Reserve(int64_t id, const std::string& text, int64_t& count) const {
    if (options_.vocab_size > 0 && id >= options_.vocab_size) {
      Fail(ErrorKind::kBadInput, "{}: token '{}' has the id {}, config.json's vocab_size is {}",
           file_, text, id, options_.vocab_size);
    }
    count = std::max(count, id + 1);
  }

  std::vector<AddedToken> AddedTokens() const {
    std::vector<AddedToken> added = files_.JsonAddedTokens();
    const auto append = [&](const std::vector<AddedToken>& more) {
      for (const AddedToken& token : more) {
        const bool known = std::any_of(added.begin(), added.end(), [&](const AddedToken& other) {
          return other.id == token.id || other.text == token.text;
        });
        if (!known) added.push_back(token);
      }
    };
    append(files_.ConfigAddedTokens());
    if (!files_.Json("tokenizer_config.json")) append(files_.LegacyAddedTokens());
    return added;
  }

  // "left right" of older files, ["left", "right"] of newer ones.
  void ReadMerges() {
    const json* list = model_.Array("merges");
    if (!list) return;
    for (const json& merge : *list) {
      if (merge.is_string()) {
        const auto& text = merge.get_ref<const std::string&>();
        const size_t space = text.find(' ', 1);
        if (space != std::string::npos) {
          merges_.emplace_back(text.substr(0, space), text.substr(space + 1));
          continue;
        }
      } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() &&
                 merge[1].is_string()) {
        merges_.emplace_back(merge[0].get<std::string>(), merge[1].get<std::string>());
        continue;
      }
      Fail(ErrorKind::kBadInput, "{}: merge {} is no pair of tokens", file_, merges_.size());
    }
  }

  Vocabulary ByteLevel() {
    vocabulary_.model = "gpt2";
    vocabulary_.pre =
        options_.pre.empty() ? PreTokenizerName(*files_.tokenizer_json(), file_) : options_.pre;
    for (const auto& [left, right] : merges_) {
      vocabulary_.merges.push_back(ByteLetters(left) + " " + ByteLetters(right));
    }
    for (const JsonFields& step : normalizers_) {
      const std::string type = step.Text("type").value_or("?");
      if (type != "NFC") NoteNormalizer(type);
    }
    return std::move(vocabulary_);
  }

  // A space within a merge as byte-level BPE spells it; the list separates by spaces.
  static std::string ByteLetters(const std::string& text) {
    std::string out;
    for (const char c : text) out += c == ' ' ? std::string("\u0120") : std::string(1, c);
    return out;
  }

  Vocabulary OfSentencePieceKind() {
    vocabulary_.model = "llama";
    SetScores();
    for (size_t id = 0; id < vocabulary_.tokens.size(); ++id) {
      if (vocabulary_.types[id] == TokenType::kNormal && IsByte(vocabulary_.tokens[id])) {
        vocabulary_.types[id] = TokenType::kByte;
      }
    }
    if (const auto unknown = model_.Text("unk_token")) {
      if (const auto found = ids_.find(*unknown); found != ids_.end()) {
        vocabulary_.unk = found->second;
        vocabulary_.types[static_cast<size_t>(found->second)] = TokenType::kUnknown;
      }
    }
    SetPrefix();
    return std::move(vocabulary_);
  }

  void SetScores() {
    // A token that no merge makes is never to be merged before one that a merge makes.
    const float last = -static_cast<float>(merges_.size());
    std::fill(vocabulary_.scores.begin(), vocabulary_.scores.end(), last);
    for (size_t rank = merges_.size(); rank-- > 0;) {
      const auto& [left, right] = merges_[rank];
      const auto found = ids_.find(left + right);
      if (found == ids_.end()) {
        Fail(ErrorKind::kBadInput, "{}: merge {} makes '{}{}', which is no token", file_, rank,
             left, right);
      }
      vocabulary_.scores[static_cast<size_t>(found->second)] = -static_cast<float>(rank);
    }
  }

  // "<0x0A>"
  static bool IsByte(std::string_view text) {
    const auto hex = [](char c) {
      return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F') || (c >= 'a' && c <= 'f');
    };
    return text.size() == 6 && text.starts_with("<0x") && text.back() == '>' && hex(text[3]) &&
           hex(text[4]);
  }

  // Whether text is encoded as if a space stood before it: a Prepend normalizer puts one before any
  // text, Metaspace only before text that has none.
  void SetPrefix() {
    bool adds = false;
    for (const JsonFields& step : normalizers_) {
      const std::string type = step.Text("type").value_or("?");
      if (type == "Prepend") {
        adds = step.Text("prepend") == kBlock;
      } else if (type != "Replace") {
        NoteNormalizer(type);
      }
    }
    for (const JsonFields& step : pre_tokenizers_) {
      if (step.Text("type") != "Metaspace") continue;
      const std::string old_form =
          step.Bool("add_prefix_space").value_or(true) ? "always" : "never";
      const std::string scheme = step.Text("prepend_scheme").value_or(old_form);
      if (adds || scheme == "never") continue;
      adds = true;
      vocabulary_.space_prefix_rule = scheme;
    }
    if (!adds) vocabulary_.add_space_prefix = false;
  }

  void NoteNormalizer(const std::string& type) {
    progress_.Note(
        fmt::format("{}: text is normalized ({}) before it is encoded, which llama.cpp does not do",
                    file_, type));
  }

  const TokenizerFiles& files_;
  const VocabularyOptions& options_;
  Progress& progress_;
  std::string file_;
  JsonFields fields_, model_;
  std::vector<JsonFields> normalizers_, pre_tokenizers_;
  Vocabulary vocabulary_;
  std::unordered_map<std::string, int64_t> ids_;
  std::vector<Merge> merges_;
};

}  // namespace

Vocabulary TokenizerJsonVocabulary(const TokenizerFiles& files, const VocabularyOptions& options,
                                   Progress& progress) {
  return JsonTokenizer(files, options, progress).Read();
}

}  // namespace quern
