#pragma once

#include <string>
#include <vector>

#include "exports/chat_message.h"

namespace quern {

// A conversation over which a Go template is compared with its Jinja template.
struct ProofConversation {
  std::string name;  // "empty system prompt, user, assistant, user"
  // What a chat rarely holds and Ollama's templates cannot always follow: a difference here is
  // reported as a limit, where any other is a refusal. Empty for what must be equal.
  std::string limit;
  Conversation messages;
};

// Every sequence of turns that a chat may have, with contents that are easily got wrong.
std::vector<ProofConversation> ProofConversations();

}  // namespace quern
