#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "exports/go_template.h"

namespace quern::go {

// A value of a running Go template.
struct Value {
  enum Kind { kRoot, kMessages, kMessage, kText, kInt, kBool };
  Kind kind = kRoot;
  std::string text = {};
  int64_t number = 0;  // of kInt and kBool
  std::span<const ChatMessage> messages = {};
  const ChatMessage* message = nullptr;

  static Value Text(std::string text) { return {.kind = kText, .text = std::move(text)}; }
  static Value Int(int64_t number) { return {.kind = kInt, .number = number}; }
  static Value Bool(bool value) { return {.kind = kBool, .number = value}; }
};

// Thrown with what Go's execution would refuse.
struct Refusal {
  std::string why;
};

bool Truth(const Value& value);
// As {{ }} writes it.
std::string Print(const Value& value);
// A function other than and, or and currentDate, which are the executor's.
Value Call(std::string_view function, const std::vector<Value>& args);

}  // namespace quern::go
