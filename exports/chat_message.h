#pragma once

#include <string>
#include <vector>

namespace quern {

struct ChatMessage {
  std::string role, content;
  bool operator==(const ChatMessage&) const = default;
};

using Conversation = std::vector<ChatMessage>;

}  // namespace quern
