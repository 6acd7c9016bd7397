#pragma once

#include <fmt/format.h>

#include <cstdio>
#include <utility>

namespace quern::cli {

// A word to the user on stderr. Where stderr itself cannot be written (its log's disk is full) the
// work goes on, which fmt::print would end with an exception.
template <typename... Args>
void Say(fmt::format_string<Args...> format, Args&&... args) {
  std::fputs(fmt::format(format, std::forward<Args>(args)...).c_str(), stderr);
}

}  // namespace quern::cli
