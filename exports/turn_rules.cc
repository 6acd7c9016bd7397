#include "exports/turn_rules.h"

#include <algorithm>
#include <bitset>
#include <set>

#include "base/error.h"

namespace quern {
namespace {

using Tests = std::bitset<kTurnTests>;

// One turn of a probe: role 'e' is what follows the last message.
struct Turn {
  char role = 'e', previous = 0;  // 0: there is none
  Tests tests = {};
  TurnText text = {};
  std::string where = {};  // for errors
};

size_t Count(const ChatProbe& probe, size_t message) {
  return static_cast<size_t>(
      std::count_if(probe.pieces.begin(), probe.pieces.end(), [&](const ChatPiece& piece) {
        return piece.kind == ChatPiece::kContent && piece.message == message;
      }));
}

// Whether system messages stand once each and in their order among the others.
bool SystemInPlace(const ChatProbe& probe) {
  size_t next = 0;
  for (size_t i = 0; i < probe.roles.size(); ++i) {
    if (probe.roles[i] == 's' && Count(probe, i) != 1) return false;
  }
  for (const ChatPiece& piece : probe.pieces) {
    if (piece.kind != ChatPiece::kContent) continue;
    if (piece.message < next) return false;
    next = piece.message + 1;
  }
  return true;
}

Tests TestsOf(const std::string& roles, size_t at, char previous) {
  Tests tests = {};
  const auto set = [&](TurnTest test, bool value) { tests[static_cast<size_t>(test)] = value; };
  const size_t last_user = roles.find_last_of("uv");
  const auto distance = [](size_t place) {
    return place == std::string::npos ? -1 : static_cast<int64_t>(place);
  };
  if (at < roles.size()) {
    set(TurnTest::kIsEmpty, IsEmptyMessage(roles[at]));
    set(TurnTest::kAfterLastUser, static_cast<int64_t>(at) > distance(last_user));
    set(TurnTest::kIsLastUser, at == last_user);
    set(TurnTest::kIsLast, at + 1 == roles.size());
  }
  set(TurnTest::kPrevNone, previous == 0);
  set(TurnTest::kPrevSystem, previous == 's');
  set(TurnTest::kPrevUser, previous == 'u');
  set(TurnTest::kPrevAssistant, previous == 'a');
  set(TurnTest::kSystemText, roles.find('s') != std::string::npos);
  set(TurnTest::kHasSystem, roles.find_first_of("sz") != std::string::npos);
  return tests;
}

std::string Where(const ChatProbe& probe, size_t at) {
  return fmt::format("the {} of a conversation {}",
                     at < probe.roles.size() ? fmt::format("message {}", at + 1) : "end",
                     probe.roles);
}

void TurnsOf(const ChatProbe& probe, bool system_in_place, std::vector<Turn>& turns) {
  size_t piece = 0;
  char previous = 0;
  for (size_t i = 0; i <= probe.roles.size(); ++i) {
    const bool is_end = i == probe.roles.size();
    const char role = is_end ? 'e' : RoleOf(probe.roles[i])[0];
    if (!system_in_place && role == 's') continue;
    Turn turn{.role = role,
              .previous = previous,
              .tests = TestsOf(probe.roles, i, previous),
              .where = Where(probe, i)};
    const size_t count = is_end ? 0 : Count(probe, i);
    if (count > 1) {
      Fail(ErrorKind::kUnsupported, "the content of {} is written {} times", turn.where, count);
    }
    for (; piece < probe.pieces.size() && (is_end || count == 1); ++piece) {
      ChatPiece next = probe.pieces[piece];
      if (next.kind == ChatPiece::kContent) {
        if (!is_end && next.message == i) {
          turn.text.has_content = true;
          turn.text.trim = next.trim;
          ++piece;
          break;
        }
        if (system_in_place || probe.roles[next.message] != 's') {
          Fail(ErrorKind::kUnsupported, "contents are written in another order ({})", turn.where);
        }
        next.message = 0;
      }
      turn.text.before.push_back(std::move(next));
    }
    previous = role;
    turns.push_back(std::move(turn));
  }
}

std::string_view LeadingText(const TurnText& text) {
  if (text.before.empty() || text.before[0].kind != ChatPiece::kText) return {};
  return text.before[0].text;
}

// Takes `text` off the start of `pieces`, if it is there.
bool TakeStart(std::vector<ChatPiece>& pieces, const std::string& text) {
  if (text.empty()) return true;
  if (pieces.empty() || !pieces[0].text.starts_with(text)) return false;
  pieces[0].text.erase(0, text.size());
  if (pieces[0].text.empty()) pieces.erase(pieces.begin());
  return true;
}

void KeepCommon(std::string& common, std::string_view with) {
  size_t length = 0;
  while (length < common.size() && length < with.size() && common[length] == with[length]) ++length;
  // Not in the midst of a character.
  while (length > 0 && length < common.size() && (common[length] & 0xC0) == 0x80) --length;
  common.resize(length);
}

// Whether the turn stands behind a content of `role`. One without content has nothing after it:
// what follows it is all the next turn's.
bool Follows(const std::vector<Turn>& turns, size_t i, char role) {
  return turns[i].previous == role && turns[i - 1].text.has_content;
}

// Moves what always follows a role's content from the next turns to that role.
std::string TakeAfter(char role, const std::vector<std::string>& tails, std::vector<Turn>& turns) {
  std::optional<std::string> common;
  const auto keep = [&common](std::string_view with) {
    if (!common) common = std::string(with);
    KeepCommon(*common, with);
  };
  for (size_t i = 1; i < turns.size(); ++i) {
    if (Follows(turns, i, role)) keep(LeadingText(turns[i].text));
  }
  for (const std::string& tail : tails) keep(tail);
  if (!common) return "";
  for (size_t i = 1; i < turns.size(); ++i) {
    if (Follows(turns, i, role)) TakeStart(turns[i].text.before, *common);
  }
  return *common;
}

size_t DistinctTexts(const std::vector<const Turn*>& turns) {
  std::vector<const TurnText*> seen;
  for (const Turn* turn : turns) {
    if (std::none_of(seen.begin(), seen.end(),
                     [&](const TurnText* text) { return *text == turn->text; })) {
      seen.push_back(&turn->text);
    }
  }
  return seen.size();
}

TurnTree LearnTree(const std::vector<const Turn*>& turns) {
  TurnTree tree;
  if (turns.empty()) return tree;
  if (DistinctTexts(turns) == 1) {
    tree.leaf = turns[0]->text;
    return tree;
  }
  std::vector<const Turn*> best[2];
  size_t best_count = SIZE_MAX;
  for (size_t test = 0; test < kTurnTests; ++test) {
    std::vector<const Turn*> parts[2];
    for (const Turn* turn : turns) parts[turn->tests[test] ? 1 : 0].push_back(turn);
    if (parts[0].empty() || parts[1].empty()) continue;
    const size_t count = DistinctTexts(parts[0]) + DistinctTexts(parts[1]);
    if (count >= best_count) continue;
    best_count = count;
    tree.test = static_cast<TurnTest>(test);
    best[0] = std::move(parts[0]);
    best[1] = std::move(parts[1]);
  }
  if (!tree.test) {
    const auto other = std::find_if(turns.begin(), turns.end(), [&](const Turn* turn) {
      return !(turn->text == turns[0]->text);
    });
    Fail(ErrorKind::kUnsupported, "{} and {} are written differently, and no rule tells them apart",
         turns[0]->where, (*other)->where);
  }
  tree.no = std::make_unique<TurnTree>(LearnTree(best[0]));
  tree.yes = std::make_unique<TurnTree>(LearnTree(best[1]));
  return tree;
}

void LearnTrees(const std::vector<Turn>& turns, TurnRules& rules) {
  for (const char role : {'s', 'u', 'a', 'e'}) {
    std::vector<const Turn*> of_role;
    for (const Turn& turn : turns) {
      if (turn.role == role) of_role.push_back(&turn);
    }
    if (role == 'e') {
      rules.end = LearnTree(of_role);
    } else if (!of_role.empty()) {
      rules.turns.insert_or_assign(role, LearnTree(of_role));
    }
  }
}

const TurnText& Choose(const TurnTree& tree, const Tests& tests) {
  if (!tree.test) return tree.leaf;
  return Choose(tests[static_cast<size_t>(*tree.test)] ? *tree.yes : *tree.no, tests);
}

// Takes `end` off the end of `pieces`, if it is there.
bool TakeEnd(std::vector<ChatPiece>& pieces, const std::vector<ChatPiece>& end) {
  if (end.empty()) return true;
  if (pieces.size() < end.size()) return false;
  const size_t from = pieces.size() - end.size();
  if (!std::equal(end.begin() + 1, end.end(), pieces.begin() + static_cast<int64_t>(from) + 1)) {
    return false;
  }
  ChatPiece& first = pieces[from];
  const bool is_whole = first == end[0];
  if (!is_whole) {
    if (first.kind != ChatPiece::kText || end[0].kind != ChatPiece::kText) return false;
    if (!first.text.ends_with(end[0].text)) return false;
    first.text.resize(first.text.size() - end[0].text.size());
  }
  pieces.resize(is_whole ? from : from + 1);
  return true;
}

std::vector<ChatPiece> WithText(const std::string& text, std::vector<ChatPiece> pieces) {
  if (text.empty()) return pieces;
  if (!pieces.empty() && pieces[0].kind == ChatPiece::kText) {
    pieces[0].text.insert(0, text);
  } else {
    pieces.insert(pieces.begin(), ChatPiece{.text = text});
  }
  return pieces;
}

// What a probe writes for its empty message: what stands there without that which the rules write
// for the next turn. nullopt where the message is the other turns' to write.
std::optional<Turn> EmptyTurn(const TurnRules& rules, const ChatProbe& probe) {
  std::vector<Turn> turns;
  TurnsOf(probe, rules.system_in_place, turns);
  for (size_t i = 0; i + 1 < turns.size(); ++i) {
    if (!turns[i].tests[static_cast<size_t>(TurnTest::kIsEmpty)]) continue;
    Turn turn = turns[i];
    const Turn& next = turns[i + 1];
    std::vector<ChatPiece> all = next.text.before;
    if (turn.previous != 0 && !TakeStart(all, rules.after.at(turn.previous))) break;
    const auto found = rules.turns.find(next.role);
    if (next.role != 'e' && found == rules.turns.end()) break;
    const TurnText& expected = Choose(next.role == 'e' ? rules.end : found->second, next.tests);
    turn.text.has_content = TakeEnd(all, WithText(rules.after.at(turn.role), expected.before));
    if (!turn.text.has_content && !TakeEnd(all, expected.before)) break;
    if (turn.text.has_content) turn.text.trim = Choose(rules.turns.at(turn.role), turn.tests).trim;
    turn.text.before = std::move(all);
    return turn;
  }
  return std::nullopt;
}

}  // namespace

std::string_view ConditionOf(TurnTest test) {
  static constexpr std::string_view kConditions[] = {
#define QUERN_TURN_CONDITION(name, condition) condition,
      QUERN_TURN_TESTS(QUERN_TURN_CONDITION)
#undef QUERN_TURN_CONDITION
  };
  return kConditions[static_cast<size_t>(test)];
}

TurnRules LearnTurnRules(const std::vector<ChatProbe>& probes,
                         const std::map<char, std::vector<std::string>>& tails,
                         const std::vector<ChatProbe>& empties) {
  TurnRules rules;
  rules.system_in_place = std::all_of(probes.begin(), probes.end(), SystemInPlace);
  std::vector<Turn> turns;
  for (const ChatProbe& probe : probes) TurnsOf(probe, rules.system_in_place, turns);
  static const std::vector<std::string> kNone;
  for (const char role : {'s', 'u', 'a'}) {
    const auto found = tails.find(role);
    rules.after[role] = TakeAfter(role, found == tails.end() ? kNone : found->second, turns);
  }
  LearnTrees(turns, rules);
  if (empties.empty()) return rules;
  for (const ChatProbe& probe : empties) {
    if (auto turn = EmptyTurn(rules, probe)) turns.push_back(std::move(*turn));
  }
  LearnTrees(turns, rules);
  return rules;
}

}  // namespace quern
