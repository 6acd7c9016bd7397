#include "exports/chat_probe.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace quern {
namespace {

constexpr std::string_view kDateMark = "qzjdatekqx";
// Of odd lengths, so that what is left of each side of a gap shows.
constexpr int kLeftSpaces = 2, kRightSpaces = 3;

std::string MarkOf(size_t message) {
  return fmt::format("xqjz{}wvk", static_cast<char>('a' + message));
}

std::string Times(std::string_view text, int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += text;
  return out;
}

Conversation Marked(std::string_view roles, std::string_view space) {
  Conversation messages;
  for (size_t i = 0; i < roles.size(); ++i) {
    messages.push_back({std::string(RoleOf(roles[i])), ""});
    if (IsEmptyMessage(roles[i])) continue;
    messages.back().content = Times(space, kLeftSpaces) + MarkOf(i) + Times(space, kRightSpaces);
  }
  return messages;
}

// Cuts a rendering at its marks.
std::vector<ChatPiece> Cut(const std::string& text, size_t messages) {
  std::vector<ChatPiece> pieces;
  size_t from = 0;
  while (true) {
    ChatPiece next;
    size_t at = text.find(kDateMark, from), length = kDateMark.size();
    if (at != std::string::npos) next.kind = ChatPiece::kDate;
    for (size_t i = 0; i < messages; ++i) {
      const std::string mark = MarkOf(i);
      const size_t place = text.find(mark, from);
      if (place >= at) continue;
      at = place;
      length = mark.size();
      next = {.kind = ChatPiece::kContent, .message = i};
    }
    const size_t end = std::min(at, text.size());
    if (end > from) pieces.push_back({.text = text.substr(from, end - from)});
    if (at == std::string::npos) return pieces;
    pieces.push_back(std::move(next));
    from = at + length;
  }
}

// A rendering as contents and the gaps around them; a gap has marks for its dates.
struct Gaps {
  std::vector<std::string> gaps{""};
  std::vector<size_t> places;  // of the contents among the pieces
  std::vector<size_t> messages;
};

Gaps GapsOf(const std::vector<ChatPiece>& pieces) {
  Gaps gaps;
  for (size_t i = 0; i < pieces.size(); ++i) {
    if (pieces[i].kind == ChatPiece::kContent) {
      gaps.places.push_back(i);
      gaps.messages.push_back(pieces[i].message);
      gaps.gaps.emplace_back();
    } else {
      gaps.gaps.back() += pieces[i].kind == ChatPiece::kDate ? kDateMark : pieces[i].text;
    }
  }
  return gaps;
}

// Finds out what becomes of one kind of space around the contents.
void ProbeSpace(const ChatOracle& oracle, size_t which, ChatProbe& probe) {
  const std::string_view space = kTrimSpaces[which];
  const auto refuse = [&](std::string_view wanted, std::string_view got) {
    const auto shown = [](std::string_view text) {
      return nlohmann::json(text).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
    };
    Fail(ErrorKind::kUnsupported,
         "white space around the contents of the conversation '{}' changes the text elsewhere: "
         "wanted ...{}, got ...{}",
         probe.roles, shown(wanted), shown(got));
  };
  ChatTemplateOptions options;
  options.now = std::string(kDateMark);
  const auto text = oracle.Render(Marked(probe.roles, space), options);
  if (!text) refuse("a text", "");
  const Gaps plain = GapsOf(probe.pieces), spaced = GapsOf(Cut(*text, probe.roles.size()));
  if (plain.messages != spaced.messages) refuse("the same contents", *text);
  const std::string left = Times(space, kLeftSpaces), right = Times(space, kRightSpaces);
  const uint8_t bit = static_cast<uint8_t>(1 << which);
  for (size_t g = 0; g < plain.gaps.size(); ++g) {
    const bool has_left = g<plain.places.size(), has_right = g> 0;
    bool found = false;
    for (int kept = 0; kept < 4 && !found; ++kept) {
      const bool keeps_left = (kept & 1) != 0, keeps_right = (kept & 2) != 0;
      if ((keeps_left && !has_left) || (keeps_right && !has_right)) continue;
      found =
          spaced.gaps[g] == (keeps_right ? right : "") + plain.gaps[g] + (keeps_left ? left : "");
      if (!found) continue;
      if (has_left && !keeps_left) probe.pieces[plain.places[g]].trim.left |= bit;
      if (has_right && !keeps_right) probe.pieces[plain.places[g - 1]].trim.right |= bit;
    }
    if (!found) refuse(spaced.gaps[g], plain.gaps[g]);
  }
}

}  // namespace

std::string_view RoleOf(char letter) {
  if (letter == 's' || letter == 'z') return "system";
  return letter == 'u' || letter == 'v' ? "user" : "assistant";
}

bool IsEmptyMessage(char letter) { return letter == 'z' || letter == 'v' || letter == 'b'; }

std::optional<ChatProbe> ProbeChat(const ChatOracle& oracle, std::string_view roles) {
  ChatTemplateOptions options;
  options.now = std::string(kDateMark);
  const auto text = oracle.Render(Marked(roles, ""), options);
  if (!text) return std::nullopt;
  ChatProbe probe{.roles = std::string(roles), .pieces = Cut(*text, roles.size())};
  for (size_t which = 0; which < std::size(kTrimSpaces); ++which) ProbeSpace(oracle, which, probe);
  return probe;
}

std::optional<std::string> ProbeTail(const ChatOracle& oracle, std::string_view roles) {
  const auto text = oracle.RenderOpen(Marked(roles, ""));
  if (!text) return std::nullopt;
  const std::string mark = MarkOf(roles.size() - 1);
  const size_t at = text->rfind(mark);
  if (at == std::string::npos) return std::nullopt;
  return text->substr(at + mark.size());
}

}  // namespace quern
