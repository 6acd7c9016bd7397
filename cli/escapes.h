#pragma once

#include <string>
#include <string_view>

namespace quern::cli {

// Text with \n, \r, \t, \', \", \\ and \xHH as what they stand for; any other backslash stays.
std::string Unescaped(std::string_view text);

}  // namespace quern::cli
