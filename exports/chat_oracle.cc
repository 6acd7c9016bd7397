#include "exports/chat_oracle.h"

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace quern {

using Json = nlohmann::ordered_json;

// A template is rendered a thousand times, over short conversations: a hostile one must not make
// that hours.
constexpr int64_t kMaxBytes = int64_t{1} << 24, kMaxSteps = 200'000;

ChatOracle::ChatOracle(const ChatTemplate& chat, const Json& variables, std::string dropped_bos)
    : chat_(chat),
      variables_(std::make_unique<Json>(variables)),
      dropped_bos_(std::move(dropped_bos)) {
  if (!variables_->contains("tools")) (*variables_)["tools"] = nullptr;
}

ChatOracle::~ChatOracle() = default;

std::optional<std::string> ChatOracle::Render(const Conversation& messages,
                                              const ChatTemplateOptions& options) const {
  return RenderWith(messages, true, options);
}

std::optional<std::string> ChatOracle::RenderOpen(const Conversation& messages,
                                                  const ChatTemplateOptions& options) const {
  return RenderWith(messages, false, options);
}

std::optional<std::string> ChatOracle::RenderWith(const Conversation& messages,
                                                  bool generation_prompt,
                                                  const ChatTemplateOptions& options) const {
  Json& values = *variables_;
  values["messages"] = Json::array();
  for (const ChatMessage& message : messages) {
    values["messages"].push_back({{"role", message.role}, {"content", message.content}});
  }
  values["add_generation_prompt"] = generation_prompt;
  try {
    ChatTemplateOptions bounded = options;
    bounded.max_bytes = kMaxBytes;
    bounded.max_steps = kMaxSteps;
    std::string text = chat_.Render(values, bounded);
    if (text.starts_with(dropped_bos_)) text.erase(0, dropped_bos_.size());
    return text;
  } catch (const Error& error) {
    refusal_ = error.what();
    return std::nullopt;
  }
}

}  // namespace quern
