#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace quern {

// Parses JSON that nobody vouches for. Stricter than the parser alone: nesting deeper than
// kMaxJsonDepth, a key that an object has twice, and anything after the value are errors too.
// Errors are kBadInput and begin with `name`, the file that the text is from.
inline constexpr int kMaxJsonDepth = 64;
nlohmann::json ParseJson(std::string_view text, const std::string& name);

// Keeps the order of keys, for a file that is changed and written again. Its objects are lists, so
// it refuses one of more than 10000 keys: a vocabulary is for ParseJson.
nlohmann::ordered_json ParseOrderedJson(std::string_view text, const std::string& name);

}  // namespace quern
