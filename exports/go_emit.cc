#include "exports/go_emit.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "exports/chat_date.h"
#include "exports/go_trim.h"
#include "exports/go_writer.h"

namespace quern {
namespace {

constexpr std::pair<char, std::string_view> kRoles[] = {
    {'s', "system"}, {'u', "user"}, {'a', "assistant"}};

void Visit(const TurnTree& tree, const auto& visit) {
  visit(tree);
  if (!tree.test) return;
  Visit(*tree.yes, visit);
  Visit(*tree.no, visit);
}

class Emitter {
 public:
  Emitter(const TurnRules& rules, std::string_view date_format)
      : rules_(rules), date_format_(date_format) {
    const auto note = [this](const TurnTree& tree) {
      if (tree.test) tests_.insert(*tree.test);
      if (!tree.test) NoteTrims(tree.leaf);
    };
    for (const auto& [role, tree] : rules.turns) Visit(tree, note);
    Visit(rules.end, note);
  }

  std::string Emit() {
    for (const Trim& trim : trims_) WriteTrimTemplates(trim, writer_);
    Variables();
    writer_.Control(Uses({TurnTest::kAfterLastUser, TurnTest::kIsLastUser, TurnTest::kIsLast})
                        ? "range $i, $m := .Messages"
                        : "range .Messages");
    bool is_first = true;
    for (const auto& [letter, role] : kRoles) {
      const auto turn = rules_.turns.find(letter);
      if (turn == rules_.turns.end()) continue;
      writer_.Control(fmt::format("{}if eq .Role \"{}\"", is_first ? "" : "else ", role));
      is_first = false;
      Turn(letter, role, turn->second);
    }
    if (!is_first) writer_.Control("end");
    writer_.Control("end");
    Tree(rules_.end, false);
    return writer_.Take();
  }

 private:
  bool Uses(std::initializer_list<TurnTest> tests) const {
    return std::any_of(tests.begin(), tests.end(),
                       [this](TurnTest test) { return tests_.contains(test); });
  }
  bool UsesPrevious() const {
    return Uses({TurnTest::kPrevNone, TurnTest::kPrevSystem, TurnTest::kPrevUser,
                 TurnTest::kPrevAssistant});
  }
  bool SkipsEmpty(char role) const { return rules_.skips_empty.find(role) != std::string::npos; }

  void NoteTrims(const TurnText& text) {
    const auto note = [this](const Trim& trim) {
      if (trim == Trim{}) return;
      if (std::find(trims_.begin(), trims_.end(), trim) == trims_.end()) trims_.push_back(trim);
    };
    if (text.has_content) note(text.trim);
    for (const ChatPiece& piece : text.before) note(piece.trim);
  }

  // What the tests ask for, found before the first turn is written.
  void Variables() {
    if (UsesPrevious()) writer_.Control("$prev := \"\"");
    if (Uses({TurnTest::kAfterLastUser, TurnTest::kIsLastUser})) {
      writer_.Control("$lastUser := -1");
      writer_.Control("range $i, $m := .Messages");
      writer_.Control(RoleTest('u', "user"));
      writer_.Control("$lastUser = $i");
      writer_.Control("end");
      writer_.Control("end");
    }
    if (Uses({TurnTest::kHasSystem})) {
      writer_.Control("$hasSystem := false");
      writer_.Control("range .Messages");
      writer_.Control(RoleTest('s', "system"));
      writer_.Control("$hasSystem = true");
      writer_.Control("end");
      writer_.Control("end");
    }
  }

  std::string RoleTest(char letter, std::string_view role) const {
    return SkipsEmpty(letter) ? fmt::format("if and (eq .Role \"{}\") .Content", role)
                              : fmt::format("if eq .Role \"{}\"", role);
  }

  void Turn(char letter, std::string_view role, const TurnTree& tree) {
    if (SkipsEmpty(letter)) writer_.Control("if .Content");
    Content(letter, tree);
    if (UsesPrevious()) writer_.Control(fmt::format("$prev = \"{}\"", role));
    if (SkipsEmpty(letter)) writer_.Control("end");
  }

  // The content stands behind the decisions where they do not differ in it.
  void Content(char letter, const TurnTree& tree) {
    std::vector<const TurnText*> leaves;
    Visit(tree, [&](const TurnTree& node) {
      if (!node.test) leaves.push_back(&node.leaf);
    });
    const bool same = std::all_of(leaves.begin(), leaves.end(), [&](const TurnText* leaf) {
      return leaf->has_content == leaves[0]->has_content && leaf->trim == leaves[0]->trim;
    });
    after_ = rules_.after.at(letter);
    Tree(tree, !same);
    if (same) OwnContent(*leaves[0]);
  }

  void OwnContent(const TurnText& text) {
    if (!text.has_content) return;
    writer_.Print(TrimmedPrint(text.trim, ".Content"));
    writer_.Text(after_);
  }

  void Tree(const TurnTree& tree, bool with_content) {
    if (!tree.test) {
      for (const ChatPiece& piece : tree.leaf.before) Piece(piece);
      if (with_content) OwnContent(tree.leaf);
      return;
    }
    const bool has_yes = Writes(*tree.yes, with_content), has_no = Writes(*tree.no, with_content);
    if (!has_yes && !has_no) return;
    writer_.Control("if " + (has_yes ? std::string(ConditionOf(*tree.test)) : Not(*tree.test)));
    if (has_yes) Tree(*tree.yes, with_content);
    if (has_yes && has_no) writer_.Control("else");
    if (has_no) Tree(*tree.no, with_content);
    writer_.Control("end");
  }

  static bool Writes(const TurnTree& tree, bool with_content) {
    return tree.test || !tree.leaf.before.empty() || (with_content && tree.leaf.has_content);
  }

  static std::string Not(TurnTest test) {
    const std::string_view condition = ConditionOf(test);
    if (condition.starts_with("not ")) return std::string(condition.substr(4));
    return condition.find(' ') == std::string_view::npos ? fmt::format("not {}", condition)
                                                         : fmt::format("not ({})", condition);
  }

  void Piece(const ChatPiece& piece) {
    switch (piece.kind) {
      case ChatPiece::kText:
        return writer_.Text(piece.text);
      case ChatPiece::kDate:
        return WriteGoDate(date_format_, writer_);
      case ChatPiece::kContent:
        return writer_.Print(TrimmedPrint(piece.trim, "$.System"));
    }
  }

  const TurnRules& rules_;
  std::string_view date_format_;
  std::set<TurnTest> tests_;
  std::vector<Trim> trims_;
  std::string after_;
  GoWriter writer_;
};

}  // namespace

std::string EmitGoTemplate(const TurnRules& rules, std::string_view date_format) {
  return Emitter(rules, date_format).Emit();
}

}  // namespace quern
