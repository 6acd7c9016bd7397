#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "exports/chat_oracle.h"

namespace quern {

// Which white space a template strips from each side of a content: a set of kTrimSpaces' places.
struct Trim {
  uint8_t left = 0, right = 0;
  bool operator==(const Trim&) const = default;
};

// A template that strips all of these is taken to strip what Python's str.strip() does.
inline constexpr std::string_view kTrimSpaces[] = {" ", "\n", "\t", "\xE2\x80\x83"};
inline constexpr uint8_t kTrimAll = 15;

struct ChatPiece {
  enum Kind { kText, kDate, kContent };
  Kind kind = kText;
  std::string text = {};  // of kText
  size_t message = 0;     // of kContent
  Trim trim = {};
  bool operator==(const ChatPiece&) const = default;
};

// What a template made of a conversation of `roles`, one letter a message (s, u and a, or z, v
// and b where it is empty), whose contents are marks that cannot be mistaken.
struct ChatProbe {
  std::string roles;
  std::vector<ChatPiece> pieces;
};

std::string_view RoleOf(char letter);
bool IsEmptyMessage(char letter);

// nullopt where the template refuses such a conversation. Error kUnsupported where it treats
// contents in a way that no template of Ollama's can follow.
std::optional<ChatProbe> ProbeChat(const ChatOracle& oracle, std::string_view roles);
// What follows the last message's content where no generation prompt is asked for.
std::optional<std::string> ProbeTail(const ChatOracle& oracle, std::string_view roles);

}  // namespace quern
