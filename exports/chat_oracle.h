#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "exports/chat_message.h"
#include "model/chat/chat_template.h"

namespace quern {

// What a Go template has to write: the Jinja template's text for a conversation, with
// add_generation_prompt, since Ollama renders only to have an answer written.
class ChatOracle {
 public:
  // `variables` is an object of what the template may ask for beside messages and tools: bos_token,
  // eos_token ... The text begins behind `dropped_bos`, which the runner puts there by itself.
  ChatOracle(const ChatTemplate& chat, const nlohmann::ordered_json& variables,
             std::string dropped_bos);
  ~ChatOracle();
  ChatOracle(const ChatOracle&) = delete;
  ChatOracle& operator=(const ChatOracle&) = delete;

  // nullopt where the template refuses the conversation; refusal() then says why.
  std::optional<std::string> Render(const Conversation& messages,
                                    const ChatTemplateOptions& options = {}) const;
  // The same without the generation prompt.
  std::optional<std::string> RenderOpen(const Conversation& messages,
                                        const ChatTemplateOptions& options = {}) const;
  const std::string& refusal() const { return refusal_; }

 private:
  std::optional<std::string> RenderWith(const Conversation& messages, bool generation_prompt,
                                        const ChatTemplateOptions& options) const;

  const ChatTemplate& chat_;
  std::unique_ptr<nlohmann::ordered_json> variables_;
  std::string dropped_bos_;
  mutable std::string refusal_;
};

}  // namespace quern
