#include "exports/ollama_template.h"

#include <algorithm>
#include <ctime>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "exports/chat_date.h"
#include "exports/chat_oracle.h"
#include "exports/chat_probe.h"
#include "exports/go_emit.h"
#include "exports/go_template.h"
#include "exports/proof_conversations.h"
#include "exports/turn_rules.h"

namespace quern {
namespace {

// Probes of what chats are, and of what they rarely are.
constexpr std::string_view kShapes[] = {"u",    "su",    "ua",    "sua",    "uau",    "suau",
                                        "uaua", "suaua", "uauau", "suauau", "uauauau"};
constexpr std::string_view kOddShapes[] = {"au", "aua", "sau", "s", "uas", "uasu", "usu", "suasu"};
constexpr std::string_view kEmptySystemShapes[] = {"zu", "zua", "zuau", "zuaua", "zuauau"};
// Chats with one empty message.
constexpr std::string_view kEmptyShapes[] = {"v",    "sv",    "va",     "uav",   "vau",  "suav",
                                             "ub",   "sub",   "ubu",    "subu",  "uaub", "uaubu",
                                             "ubua", "ubuau", "subuau", "suaubu"};
// Two days that every format writes differently: 2026-03-07 and 2031-11-24, at noon.
constexpr int64_t kDays[] = {1772884800, 1953288000};
constexpr std::string_view kOllamaDate = "%Y-%m-%d";

std::vector<ChatProbe> Probed(const ChatOracle& oracle, std::span<const std::string_view> shapes) {
  std::vector<ChatProbe> probes;
  for (const std::string_view roles : shapes) {
    if (auto probe = ProbeChat(oracle, roles)) probes.push_back(std::move(*probe));
  }
  return probes;
}

std::map<char, std::vector<std::string>> Tails(const ChatOracle& oracle,
                                               const std::vector<ChatProbe>& probes) {
  std::map<char, std::vector<std::string>> tails;
  for (const ChatProbe& probe : probes) {
    if (auto tail = ProbeTail(oracle, probe.roles)) {
      tails[probe.roles.back()].push_back(std::move(*tail));
    }
  }
  return tails;
}

bool HasDate(const std::vector<ChatProbe>& probes) {
  return std::any_of(probes.begin(), probes.end(), [](const ChatProbe& probe) {
    return std::any_of(probe.pieces.begin(), probe.pieces.end(),
                       [](const ChatPiece& piece) { return piece.kind == ChatPiece::kDate; });
  });
}

std::string Shown(std::string_view text, size_t from) {
  const size_t begin = from < 20 ? 0 : from - 20;
  const std::string part(text.substr(begin, 60));
  return nlohmann::json(part).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string Difference(const std::string& name, const std::string& wanted, const std::string& got) {
  const auto place = std::mismatch(wanted.begin(), wanted.end(), got.begin(), got.end());
  const auto at = static_cast<size_t>(place.first - wanted.begin());
  return fmt::format("differs at byte {} of the conversation '{}': wanted ...{}, got ...{}", at,
                     name, Shown(wanted, at), Shown(got, at));
}

// A conversation of the proof with what the Jinja template writes on each of the two days; nothing
// where it refuses.
struct Expected {
  ProofConversation conversation;
  std::vector<std::string> texts;
};

std::vector<Expected> Expectations(const ChatOracle& oracle,
                                   const std::vector<Conversation>& more) {
  auto all = ProofConversations();
  for (size_t i = 0; i < more.size(); ++i) {
    all.push_back({fmt::format("number {} of those given", i + 1), "", more[i]});
  }
  std::vector<Expected> expected;
  for (ProofConversation& one : all) {
    Expected next;
    for (const int64_t day : kDays) {
      ChatTemplateOptions options;
      options.clock = day;
      if (auto text = oracle.Render(one.messages, options)) next.texts.push_back(std::move(*text));
    }
    next.conversation = std::move(one);
    expected.push_back(std::move(next));
  }
  return expected;
}

TemplateProof Prove(const std::string& text, const std::vector<Expected>& expected) {
  const GoTemplate go = GoTemplate::Parse(text, "the Go template");
  TemplateProof proof;
  for (const Expected& one : expected) {
    if (one.texts.size() < std::size(kDays)) {
      ++proof.refused;
      continue;
    }
    bool is_equal = true;
    for (size_t day = 0; day < std::size(kDays) && is_equal; ++day) {
      const auto got = go.Render(
          CollateForOllama(one.conversation.messages, FormatDate(kOllamaDate, kDays[day])));
      is_equal = got == one.texts[day];
      if (!is_equal && one.conversation.limit.empty()) {
        proof.difference = Difference(one.conversation.name, one.texts[day], got);
        return proof;
      }
    }
    proof.equal += is_equal ? 1 : 0;
    auto& limits = proof.limits;
    if (!is_equal &&
        std::find(limits.begin(), limits.end(), one.conversation.limit) == limits.end()) {
      limits.push_back(one.conversation.limit);
    }
  }
  if (proof.equal == 0) proof.difference = "the Jinja template renders no conversation";
  return proof;
}

// The best of the templates that rules can make: with fewer limits, or else at least with the
// difference that comes last.
class Search {
 public:
  Search(const ChatOracle& oracle, const std::vector<Conversation>& more)
      : oracle_(oracle), expected_(Expectations(oracle, more)) {}

  void Try(const std::vector<ChatProbe>& probes, const std::vector<ChatProbe>& empties = {}) {
    TurnRules rules = LearnTurnRules(probes, Tails(oracle_, probes), empties);
    const bool has_date = HasDate(probes);
    for (int format = 0; format < (has_date ? kGoDateFormatCount : 1); ++format) {
      for (const std::string_view skips : {"", "s", "u", "a", "su", "sa", "ua", "sua"}) {
        rules.skips_empty = skips;
        Candidate(rules, kGoDateFormats[format]);
        if (Done()) return;
      }
    }
  }

  bool Done() const { return best_ && best_->proof.holds() && best_->proof.limits.empty(); }
  const std::optional<OllamaTemplate>& best() const { return best_; }

 private:
  void Candidate(const TurnRules& rules, std::string_view date_format) {
    OllamaTemplate made;
    made.text = EmitGoTemplate(rules, date_format);
    made.proof = Prove(made.text, expected_);
    const auto after = rules.after.find('a');
    if (after != rules.after.end()) made.answer_end = after->second;
    const auto rank = [](const OllamaTemplate& one) {
      return std::make_pair(one.proof.holds(), -static_cast<int>(one.proof.limits.size()));
    };
    if (!best_ || rank(made) > rank(*best_)) best_ = std::move(made);
  }

  const ChatOracle& oracle_;
  const std::vector<Expected> expected_;
  std::optional<OllamaTemplate> best_;
};

OllamaTemplate Find(const ChatOracle& oracle, const std::vector<Conversation>& more) {
  const auto usual = Probed(oracle, kShapes);
  if (usual.empty()) {
    Fail(ErrorKind::kUnsupported, "the Jinja template renders no conversation: {}",
         oracle.refusal());
  }
  Search search(oracle, more);
  std::string why;
  // The fewest rules first; the usual chats alone may have rules where all together have none.
  struct Attempt {
    std::span<const std::string_view> more, empties;
  };
  for (const Attempt& attempt :
       {Attempt{kOddShapes, {}}, Attempt{}, Attempt{kOddShapes, kEmptyShapes},
        Attempt{kEmptySystemShapes, {}}, Attempt{{}, kEmptyShapes}}) {
    try {
      auto probes = usual;
      for (ChatProbe& probe : Probed(oracle, attempt.more)) probes.push_back(std::move(probe));
      search.Try(probes, Probed(oracle, attempt.empties));
    } catch (const Error& error) {
      why = error.what();
    }
    if (search.Done()) break;
  }
  if (!search.best()) Fail(ErrorKind::kUnsupported, "{}", why);
  if (!search.best()->proof.holds()) {
    Fail(ErrorKind::kUnsupported, "{}", search.best()->proof.difference);
  }
  return *search.best();
}

}  // namespace

TemplateProof ProveGoTemplate(const std::string& go_template, const ChatTemplate& chat,
                              const nlohmann::ordered_json& variables,
                              const std::string& dropped_bos,
                              const std::vector<Conversation>& more) {
  return Prove(go_template, Expectations(ChatOracle(chat, variables, dropped_bos), more));
}

OllamaTemplate DeriveOllamaTemplate(const ChatTemplate& chat,
                                    const nlohmann::ordered_json& variables,
                                    const std::string& dropped_bos,
                                    const std::vector<Conversation>& more) {
  try {
    return Find(ChatOracle(chat, variables, dropped_bos), more);
  } catch (const Error& error) {
    Fail(ErrorKind::kUnsupported, "no exact Go template found: {}", error.what());
  }
}

}  // namespace quern
