#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "exports/chat_message.h"
#include "model/chat/chat_template.h"

namespace quern::testing {

// What the Jinja template writes for each of the conversations, and each of two days, as a case for
// tests/golang/render.go. What it refuses is left out.
nlohmann::ordered_json GoCase(const std::string& name, const std::string& go_template,
                              const ChatTemplate& chat, const nlohmann::ordered_json& variables,
                              const std::vector<Conversation>& conversations);

// Runs the cases with Go; false, and a word that they were skipped, where there is no Go.
// A difference fails the test.
bool CheckWithGo(const nlohmann::ordered_json& cases);

}  // namespace quern::testing
