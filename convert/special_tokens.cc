#include "convert/special_tokens.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "convert/json_fields.h"
#include "gguf/keys.h"

namespace quern {
using nlohmann::json;
namespace {

// The kinds of special tokens by their names in HF's files, with GGUF's keys.
struct KindRule {
  std::string_view kind, id_key, add_key;
};
constexpr KindRule kKinds[] = {
    {"bos", keys::kBosId, keys::kAddBos},
    {"eos", keys::kEosId, keys::kAddEos},
    {"unk", keys::kUnknownId, ""},
    {"sep", "tokenizer.ggml.seperator_token_id", "tokenizer.ggml.add_sep_token"},
    {"pad", keys::kPaddingId, ""},
    {"cls", "", ""},
    {"mask", "tokenizer.ggml.mask_token_id", ""},
    {"eot", keys::kEotId, ""},
    {"eom", "tokenizer.ggml.eom_token_id", ""},
};
// Of these HF's files speak by themselves; EOT and EOM come of a template alone.
constexpr std::string_view kAsked[] = {"bos", "eos", "unk", "sep", "pad", "cls", "mask"};

template <typename T>
struct InOrder {  // the first value of a kind stays; a later one of the same kind is dropped or set
  std::vector<std::pair<std::string, T>> entries;
  T* Find(std::string_view kind) {
    for (auto& [name, value] : entries) {
      if (name == kind) return &value;
    }
    return nullptr;
  }
  void Set(std::string_view kind, T value) {
    if (T* found = Find(kind)) {
      *found = value;
    } else {
      entries.emplace_back(kind, value);
    }
  }
};

// "tok" or {"content": "tok", ...}
std::optional<std::string> TokenText(const json* entry) {
  if (entry && entry->is_object()) {
    const auto content = entry->find("content");
    entry = content == entry->end() ? nullptr : &*content;
  }
  if (!entry || !entry->is_string()) return std::nullopt;
  return entry->get<std::string>();
}

class SpecialTokens {
 public:
  SpecialTokens(const TokenizerFiles& files, const Vocabulary& vocabulary, Progress& progress)
      : files_(files), vocabulary_(vocabulary), progress_(progress) {
    if (const json* config = files.Json("tokenizer_config.json")) {
      const JsonFields fields(*config, files.NameOf("tokenizer_config.json"));
      has_config_ = true;
      for (const std::string_view kind : kAsked) {
        if (auto text = TokenText(fields.Find(fmt::format("{}_token", kind)))) {
          texts_[std::string(kind)] = *std::move(text);
        }
      }
    }
  }

  void FromPostProcessor() {
    const json* file = files_.tokenizer_json();
    if (!file) return;
    Default("bos", "cls");
    Default("eos", "sep");
    const auto processor = JsonFields(*file, files_.tokenizer_json_name()).Object("post_processor");
    if (!processor) return;
    const json* list = processor->Array("processors");
    if (!list) return FromProcessor(*processor);
    for (const json& item : *list) FromProcessor(JsonFields(item, processor->name()));
  }

  void FromTokenizerConfig() {
    const json* config = files_.Json("tokenizer_config.json");
    if (!config) return;
    const auto added = files_.JsonAddedTokens();
    for (const std::string& kind : Kinds()) {
      const auto flag = config->find(fmt::format("add_{}_token", kind));
      if (flag != config->end() && flag->is_boolean()) add_.Set(kind, flag->get<bool>());
      if (!texts_.contains(kind)) continue;
      const auto token = std::find_if(added.begin(), added.end(),
                                      [&](const AddedToken& t) { return t.text == texts_[kind]; });
      if (token != added.end()) SetId(kind, token->id);
    }
  }

  void FromConfig(const std::vector<std::pair<std::string, int64_t>>& ids) {
    for (const std::string& kind : Kinds()) {
      for (const auto& [key, id] : ids) {
        if (key == fmt::format("{}_token_id", kind)) SetId(kind, id);
      }
    }
  }

  // Only a model without BOS or EOS needs this: the reference would write neither.
  void FromTheRest(bool has_model) {
    const json* map = files_.Json("special_tokens_map.json");
    for (const auto& [kind, own] : {std::pair("bos", vocabulary_.bos),
                                    {"eos", vocabulary_.eos},
                                    {"unk", vocabulary_.unk},
                                    {"pad", vocabulary_.pad}}) {
      const bool vital = kind == std::string_view("bos") || kind == std::string_view("eos");
      if (ids_.Find(kind) || (has_model && !vital)) continue;
      std::optional<std::string> text;
      if (texts_.contains(kind)) text = texts_[kind];
      if (!text && map && map->is_object()) {
        const auto entry = map->find(fmt::format("{}_token", kind));
        if (entry != map->end()) text = TokenText(&*entry);
      }
      const auto id = text ? IdOf(*text) : std::nullopt;
      if (id || own >= 0) SetId(kind, id.value_or(own));
    }
  }

  void SetKeys(Metadata& keys) const {
    for (const auto& [kind, id] : ids_.entries) {
      if (const KindRule* rule = RuleOf(kind); !rule->id_key.empty()) {
        keys.Set(rule->id_key, static_cast<uint32_t>(id));
      }
    }
    for (const auto& [kind, add] : add_.entries) {
      if (const KindRule* rule = RuleOf(kind); !rule->add_key.empty()) keys.Set(rule->add_key, add);
    }
  }

 private:
  static const KindRule* RuleOf(std::string_view kind) {
    for (const KindRule& rule : kKinds) {
      if (rule.kind == kind) return &rule;
    }
    QUERN_CHECK(false);
    return nullptr;
  }

  std::vector<std::string> Kinds() const {
    std::vector<std::string> kinds(std::begin(kAsked), std::end(kAsked));
    kinds.insert(kinds.end(), extra_.begin(), extra_.end());
    return kinds;
  }

  std::optional<int64_t> IdOf(const std::string& text) const {
    const auto found = std::find(vocabulary_.tokens.begin(), vocabulary_.tokens.end(), text);
    if (found == vocabulary_.tokens.end()) return std::nullopt;
    return found - vocabulary_.tokens.begin();
  }

  void SetId(std::string_view kind, int64_t id) {
    if (ids_.Find(kind)) return;
    if (id < 0 || id >= vocabulary_.size()) {
      progress_.Note(fmt::format("the {} token's id {} is left out, the vocabulary has {} tokens",
                                 kind, id, vocabulary_.size()));
      return;
    }
    ids_.Set(kind, id);
  }

  void Default(const std::string& kind, const std::string& from) {
    if (!texts_.contains(kind) && texts_.contains(from)) texts_[kind] = texts_[from];
  }

  bool Is(const std::string& text, const std::string& kind) const {
    const auto found = texts_.find(kind);
    return found != texts_.end() && found->second == text;
  }

  void FromProcessor(const JsonFields& processor) {
    const auto type = processor.Text("type");
    if (type == "RobertaProcessing") {
      for (const char* kind : {"bos", "eos", "sep"}) add_.Set(kind, true);
    }
    if (type == "TemplateProcessing") FromTemplate(processor);
  }

  // The special token at a place of a template, or "".
  static std::string SpecialAt(const json& piece) {
    if (!piece.is_object()) return {};
    const auto token = piece.find("SpecialToken");
    if (token == piece.end() || !token->is_object()) return {};
    const auto id = token->find("id");
    return id != token->end() && id->is_string() ? id->get<std::string>() : std::string();
  }

  // What stands before and behind one text, and between two.
  void FromTemplate(const JsonFields& processor) {
    const json* single = processor.Array("single");
    std::string first, last;
    if (single && single->size() > 1) {
      first = SpecialAt(single->front());
      last = SpecialAt(single->back());
    }
    if (!first.empty()) FromFirst(first);
    if (!last.empty()) FromLast(last);
    if (const json* pair = processor.Array("pair"); pair && !pair->empty()) {
      FromPair(*pair, first, last);
    }
  }

  void FromFirst(const std::string& token) {
    for (const char* kind : {"bos", "cls"}) {
      if (!texts_.contains(kind)) texts_[kind] = token;
    }
    add_.Set("bos", Is(token, "bos") || Is(token, "cls"));
  }

  // A template that ends in another token than EOS ends in the true EOS; the other is a turn's end.
  void FromLast(const std::string& token) {
    if (has_config_ && !Is(token, "eos") && extra_.size() < 2) {
      extra_.push_back(extra_.empty() ? "eot" : "eom");
      if (texts_.contains("eos")) texts_[extra_.back()] = texts_["eos"];
    }
    texts_["eos"] = token;
    add_.Set("eos", true);
  }

  void FromPair(const json& pair, const std::string& first, const std::string& last) {
    size_t begin = 0, end = pair.size();
    if (!first.empty() && SpecialAt(pair[0]) == first) ++begin;
    if (!last.empty() && end > begin && SpecialAt(pair[end - 1]) == last) --end;
    // Between A and B.
    if (end - begin <= 2 || !pair[begin].is_object() || !pair[begin].contains("Sequence")) return;
    bool adds = false;
    for (size_t i = begin + 1; i + 1 < end && i < begin + 3; ++i) {
      const std::string token = SpecialAt(pair[i]);
      const bool separates = !token.empty() && (Is(token, "sep") || Is(token, "eos"));
      adds = adds || (separates && (i > begin + 1 || last.empty()));
    }
    add_.Set("sep", adds);
    if (adds && !texts_.contains("sep") && texts_.contains("eos")) texts_["sep"] = texts_["eos"];
  }

  const TokenizerFiles& files_;
  const Vocabulary& vocabulary_;
  Progress& progress_;
  bool has_config_ = false;
  std::map<std::string, std::string> texts_;  // by kind
  std::vector<std::string> extra_;            // "eot", "eom"
  InOrder<int64_t> ids_;
  InOrder<bool> add_;
};

}  // namespace

void SetSpecialTokenKeys(const TokenizerFiles& files, bool has_model,
                         const std::vector<std::pair<std::string, int64_t>>& config_ids,
                         const Vocabulary& vocabulary, Progress& progress, Metadata& keys) {
  SpecialTokens tokens(files, vocabulary, progress);
  tokens.FromPostProcessor();
  tokens.FromTokenizerConfig();
  tokens.FromConfig(config_ids);
  tokens.FromTheRest(has_model);
  tokens.SetKeys(keys);
}

}  // namespace quern
