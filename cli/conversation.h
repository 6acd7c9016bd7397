#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "model/session.h"

namespace quern::cli {

// One continuation, and what was shown of it.
struct Answer {
  Generated generated;
  std::string text, stop_string;
  const char* stop = "";  // "eog", "length", "context", "stop"
};

// Continues `text` in the session. `show` gets the text as it becomes certain, whole characters
// without any stop string.
Answer Continue(Session& session, const Tokenizer& tokenizer, const std::vector<TokenId>& text,
                int64_t max_tokens, const std::vector<std::string>& stops,
                const std::function<void(std::string_view)>& show);

// A conversation by the chat template of a model's file. The whole of it is rendered anew for each
// turn, and what the session has read of it already it keeps.
class Conversation {
 public:
  // template_text: instead of the file's, where it is not empty. Error kUnsupported where the file
  // has none either.
  Conversation(const Metadata& metadata, const Tokenizer& tokenizer, const std::string& system,
               const std::string& template_text);
  ~Conversation();

  // The prompt's tokens once the user has said this.
  std::vector<TokenId> Say(const std::string& text);
  // What the model answered, before the next turn.
  void Answered(const std::string& text);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace quern::cli
