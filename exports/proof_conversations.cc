#include "exports/proof_conversations.h"

#include <fmt/format.h>

#include <string_view>

#include "exports/chat_probe.h"

namespace quern {
namespace {

// The sequences of roles: s system, u user, a assistant.
constexpr std::string_view kShapes[] = {"u",      "su",      "ua",     "sua",   "uau",
                                        "suau",   "uaua",    "suaua",  "uauau", "suauau",
                                        "uauaua", "suauaua", "uauauau"};
constexpr std::string_view kOddShapes[] = {"au", "aua", "sau", "s", "uas", "uasu", "usu", "suasu"};

struct Contents {
  std::string_view name, system, user, assistant;
};

constexpr Contents kContents[] = {
    {"plain words", "Answer in one line.", "What is a quern?", "A hand mill."},
    {"lines", "Be brief.\nBe kind.", "First line\nsecond line\n\nfourth", "1.\n2.\n\n\tend"},
    {"braces and quotes", R"(Use {"json": true}.)", R"({{ .Prompt }} {% if x %} "a" 'b' `c`)",
     R"(C:\new\table $1 {{"x"}} """)"},
    {"markup", "<b>&amp;</b>", "a < b && c > d <br/>", "<p>&lt;\"quoted\"</p>"},
    {"other scripts", "Отвечай кратко.", "你好,世界 🌍 e\u0301", "مرحبا \u200d👩\u200d🔬 ñ"},
    {"spaces around", "  Be brief.  ", " \n spaced out \t\n", "\n\n done \n"},
    {"line ends around", "\nBe brief.\n", "\nq\n", "\na\n"},
    {"wide spaces around", "\u3000s\u00a0", "\u2003u\u2028", "\u00a0a\u3000"},
    {"control marks", "</s><|end|>", "<s>[INST] x [/INST]</s><|im_end|>",
     "<|eot_id|><end_of_turn>"},
    {"single letters", "s", "u", "a"},
};

Conversation Fill(std::string_view roles, const Contents& contents) {
  Conversation messages;
  for (const char letter : roles) {
    messages.push_back(
        {std::string(RoleOf(letter)), std::string(letter == 's'   ? contents.system
                                                  : letter == 'u' ? contents.user
                                                                  : contents.assistant)});
  }
  return messages;
}

void AddEmpty(std::string_view roles, char role, std::vector<ProofConversation>& all) {
  Contents contents = kContents[0];
  (role == 's' ? contents.system : role == 'u' ? contents.user : contents.assistant) = "";
  if (roles.find(role) == std::string_view::npos) return;
  all.push_back(
      {fmt::format("{}, nothing of the {}", roles, RoleOf(role)), "", Fill(roles, contents)});
}

}  // namespace

std::vector<ProofConversation> ProofConversations() {
  std::vector<ProofConversation> all;
  for (const std::string_view roles : kShapes) {
    for (const Contents& contents : kContents) {
      all.push_back({fmt::format("{}, {}", roles, contents.name), "", Fill(roles, contents)});
    }
    for (const char role : {'s', 'u', 'a'}) AddEmpty(roles, role, all);
    // A turn of its own words, so that none is taken for another.
    Conversation numbered = Fill(roles, kContents[0]);
    for (size_t i = 0; i < numbered.size(); ++i) numbered[i].content += fmt::format(" [{}]", i);
    all.push_back({fmt::format("{}, numbered", roles), "", std::move(numbered)});
  }
  for (const std::string_view roles : {"u", "su", "suau", "ua"}) {
    all.push_back({fmt::format("{}, white space alone", roles), "messages of white space alone",
                   Fill(roles, {"", "  ", " \n ", "\n"})});
  }
  for (const std::string_view roles : {"uau", "ua", "suauau"}) {
    all.push_back({fmt::format("{}, reasoning in answers", roles),
                   "answers that hold <think>...</think>",
                   Fill(roles, {"", "s", "u", "<think>\nhm\n</think>\n\nanswer"})});
  }
  for (const std::string_view roles : kOddShapes) {
    all.push_back({fmt::format("{}, plain words", roles),
                   "chats that begin with the assistant, or whose system prompt is not the first "
                   "message and followed by the user's",
                   Fill(roles, kContents[0])});
  }
  return all;
}

}  // namespace quern
