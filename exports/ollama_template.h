#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "exports/chat_message.h"
#include "model/chat/chat_template.h"

namespace quern {

// What a comparison of a Go template with a Jinja template found.
struct TemplateProof {
  int equal = 0;    // conversations with the same text
  int refused = 0;  // conversations that the Jinja template refuses
  // Where they differ: in what must be equal, the first conversation with what was wanted and got;
  // and the kinds of rare conversations (ProofConversation::limit) that differ.
  std::string difference;
  std::vector<std::string> limits;
  bool holds() const { return difference.empty() && equal > 0; }
};

struct OllamaTemplate {
  std::string text;        // the Go template
  std::string answer_end;  // what it writes behind each answer: "<|im_end|>\n"
  TemplateProof proof;
};

// Compares over ProofConversations() and `more`, all of which must be equal.
TemplateProof ProveGoTemplate(const std::string& go_template, const ChatTemplate& chat,
                              const nlohmann::ordered_json& variables,
                              const std::string& dropped_bos,
                              const std::vector<Conversation>& more = {});

// Finds a template of Ollama's that writes what the Jinja template does for a conversation without
// tools, and proves it. The Jinja template is asked with add_generation_prompt and `variables`
// (bos_token, ...); a text that begins with `dropped_bos` is wanted without it, for runners that
// put it there themselves. Error kUnsupported "no exact Go template found: ..." with the first
// difference where there is none.
OllamaTemplate DeriveOllamaTemplate(const ChatTemplate& chat,
                                    const nlohmann::ordered_json& variables,
                                    const std::string& dropped_bos,
                                    const std::vector<Conversation>& more = {});

}  // namespace quern
