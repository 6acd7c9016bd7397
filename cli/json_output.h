#pragma once

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace quern::cli {

inline constexpr int kOneLine = -1;

// A result on stdout, nlohmann's json or ordered_json. What is not UTF-8 in it (names of files and
// tensors come from outside) becomes U+FFFD.
template <class Json>
void WriteJson(const Json& json, int indent = 1) {
  fmt::print("{}\n", json.dump(indent, ' ', false, Json::error_handler_t::replace));
}

}  // namespace quern::cli
