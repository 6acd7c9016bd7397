#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace quern::cli {

// A number of bytes as users write it: "300M" is 300,000,000; K, M, G and T count by 1000, as
// llama.cpp's converter does. Nothing where it is no such text, or too large for an int64.
std::optional<int64_t> ParseSize(std::string_view text);

}  // namespace quern::cli
