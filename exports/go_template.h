#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "exports/chat_message.h"

namespace quern {

// What Ollama gives a template that asks for .Messages (ollama/template/template.go, Execute and
// collate, August 2026).
struct OllamaValues {
  std::string system = {};     // all system messages, joined by empty lines
  Conversation messages = {};  // one after the other of the same role are one message
  std::string date = {};       // what currentDate returns: "2006-01-02"
};

OllamaValues CollateForOllama(const Conversation& messages, std::string date);

// A chat template in Ollama's language, of which this is the part that Quern's exports write: text
// and comments, .Messages, .System, .Role, .Content and variables, if and else, range, define and
// template, and the functions and, or, not, eq, ne, lt, le, gt, ge, len, index, slice and
// currentDate. What goes beyond it is refused with kUnsupported, so that a template is either run
// as Go runs it or not at all.
//   const auto chat = GoTemplate::Parse(text, "Modelfile");
//   const std::string prompt = chat.Render(CollateForOllama(messages, "2026-08-21"));
class GoTemplate {
 public:
  static GoTemplate Parse(std::string_view text, std::string name);
  ~GoTemplate();
  GoTemplate(GoTemplate&&) noexcept;
  GoTemplate& operator=(GoTemplate&&) noexcept;

  // Errors are kBadInput: what Go's execution refuses, and what leaves the bounds of depth and
  // size.
  std::string Render(const OllamaValues& values) const;

 private:
  struct Parsed;
  explicit GoTemplate(std::unique_ptr<const Parsed> parsed);

  std::unique_ptr<const Parsed> parsed_;
};

}  // namespace quern
