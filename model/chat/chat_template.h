#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace quern {

struct ChatTemplateOptions {
  // What strftime_now returns; without it, the time, as the template formats it.
  std::optional<std::string> now;
  // Without `now`: the time that strftime_now formats, in seconds since 1970; without it, this one.
  std::optional<int64_t> clock;
  // A template is hostile input: how much it may make in all, and how many steps it may take.
  int64_t max_bytes = int64_t{1} << 28;
  int64_t max_steps = 10'000'000;
};

// A chat template: the part of Jinja2 that such templates use, with the settings and the functions
// of transformers (trim_blocks, lstrip_blocks, break and continue, tojson without escapes,
// raise_exception, strftime_now, {% generation %}).
//   const auto chat = ChatTemplate::Parse(text, "model.gguf");
//   const std::string prompt = chat.Render({{"messages", messages}, {"add_generation_prompt",
//   true}});
// Errors are kBadInput and begin with `name`: what Jinja2 refuses, a call of raise_exception, and
// what leaves the bounds of size, time and depth.
class ChatTemplate {
 public:
  static ChatTemplate Parse(std::string_view text, std::string name);
  ~ChatTemplate();
  ChatTemplate(ChatTemplate&&) noexcept;

  // `values` is an object of the variables: messages, tools, bos_token ...
  std::string Render(const nlohmann::ordered_json& values,
                     const ChatTemplateOptions& options = {}) const;

 private:
  struct Parsed;
  explicit ChatTemplate(std::unique_ptr<const Parsed> parsed);

  std::unique_ptr<const Parsed> parsed_;
};

}  // namespace quern
