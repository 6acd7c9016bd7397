#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "exports/chat_probe.h"

namespace quern {

// THE list of what a turn's text may depend on: X(name, the condition in a Go template). Rules
// prefer what stands first.
#define QUERN_TURN_TESTS(X)                     \
  X(PrevNone, "eq $prev \"\"")                  \
  X(AfterLastUser, "gt $i $lastUser")           \
  X(IsLastUser, "eq $i $lastUser")              \
  X(IsLast, "eq (len (slice $.Messages $i)) 1") \
  X(PrevSystem, "eq $prev \"system\"")          \
  X(PrevUser, "eq $prev \"user\"")              \
  X(PrevAssistant, "eq $prev \"assistant\"")    \
  X(IsEmpty, "not .Content")                    \
  X(SystemText, "$.System")                     \
  X(HasSystem, "$hasSystem")

enum class TurnTest {
#define QUERN_TURN_TEST_ENUM(name, condition) k##name,
  QUERN_TURN_TESTS(QUERN_TURN_TEST_ENUM)
#undef QUERN_TURN_TEST_ENUM
      kCount
};
inline constexpr size_t kTurnTests = static_cast<size_t>(TurnTest::kCount);

std::string_view ConditionOf(TurnTest test);

// What is written from the end of one turn's content to the end of the next: of the pieces, those
// of kContent are the system prompt, for templates that put it into a later turn.
struct TurnText {
  std::vector<ChatPiece> before;
  bool has_content = false;
  Trim trim;
  bool operator==(const TurnText&) const = default;
};

// A decision between texts; a leaf has no test.
struct TurnTree {
  std::optional<TurnTest> test;
  std::unique_ptr<TurnTree> yes, no;
  TurnText leaf;
};

// A chat template as rules: what each role's turn writes, and what stands at the end.
struct TurnRules {
  // The system prompt is written at its message, or else by other turns, through .System.
  bool system_in_place = true;
  std::map<char, TurnTree> turns;     // by the role's letter, s, u, a
  std::map<char, std::string> after;  // what always follows a role's content
  TurnTree end;
  // Roles whose empty messages are as if they were not there.
  std::string skips_empty;
};

// The rules that explain all probes. Error kUnsupported where no such rules exist. `tails` are
// ProbeTail's answers for a role: a hint of where its turn ends. `empties` are probes that have one
// empty message each, for templates that write such a turn in another way.
TurnRules LearnTurnRules(const std::vector<ChatProbe>& probes,
                         const std::map<char, std::vector<std::string>>& tails,
                         const std::vector<ChatProbe>& empties = {});

}  // namespace quern
