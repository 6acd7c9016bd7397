#include "cli/conversation.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/file_template.h"
#include "gguf/keys.h"
#include "model/chat/chat_template.h"
#include "model/text_stream.h"

namespace quern::cli {
namespace {

const char* NameOf(StopReason reason) {
  switch (reason) {
    case StopReason::kEndOfGeneration:
      return "eog";
    case StopReason::kLength:
      return "length";
    case StopReason::kContext:
      return "context";
    case StopReason::kCancelled:
      return "stop";
  }
  return "?";
}

}  // namespace

Answer Continue(Session& session, const Tokenizer& tokenizer, const std::vector<TokenId>& text,
                int64_t max_tokens, const std::vector<std::string>& stops,
                const std::function<void(std::string_view)>& show) {
  TextStream stream(stops);
  Answer answer;
  answer.generated = session.Continue(text, max_tokens, [&](TokenId id) {
    // A vocabulary may have fewer tokens than the model has rows for.
    if (id < tokenizer.size()) show(stream.Add(tokenizer.Piece(id)));
    return stream.stop().empty();
  });
  show(stream.Finish());
  answer.text = stream.text();
  answer.stop_string = stream.stop();
  answer.stop = NameOf(answer.generated.reason);
  return answer;
}

struct Conversation::State {
  const Tokenizer& tokenizer;
  ChatTemplate chat;
  nlohmann::ordered_json values;
};

Conversation::Conversation(const Metadata& metadata, const Tokenizer& tokenizer,
                           const std::string& system, const std::string& template_text) {
  const std::string text =
      template_text.empty() ? metadata.Text(keys::kChatTemplate).value_or("") : template_text;
  if (text.empty()) {
    Fail(ErrorKind::kUnsupported,
         "{}: has no chat template; --chat-template-file gives it one, and without --chat a prompt "
         "is continued as it is",
         metadata.name());
  }
  nlohmann::ordered_json values = {{"messages", nlohmann::ordered_json::array()},
                                   {"tools", nullptr},
                                   {"add_generation_prompt", true}};
  SetTemplateTokens(metadata, values);
  if (!system.empty()) values["messages"].push_back({{"role", "system"}, {"content", system}});
  state_.reset(new State{tokenizer, ChatTemplate::Parse(text, metadata.name()), std::move(values)});
}

Conversation::~Conversation() = default;

std::vector<TokenId> Conversation::Say(const std::string& text) {
  state_->values["messages"].push_back({{"role", "user"}, {"content", text}});
  const Tokenizer& tokenizer = state_->tokenizer;
  std::vector<TokenId> ids = tokenizer.Encode(state_->chat.Render(state_->values), false, true);
  // Most templates write BOS themselves.
  if (tokenizer.adds_bos() && (ids.empty() || ids.front() != tokenizer.bos())) {
    ids.insert(ids.begin(), tokenizer.bos());
  }
  return ids;
}

void Conversation::Answered(const std::string& text) {
  state_->values["messages"].push_back({{"role", "assistant"}, {"content", text}});
}

}  // namespace quern::cli
