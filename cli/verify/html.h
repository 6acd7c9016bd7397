#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace quern::cli {

// Text as it may stand between tags and in attributes' quotes, whatever it holds: markup is
// escaped, control characters become the replacement character.
std::string Escaped(std::string_view text);

// The template with each {{name}} replaced. What is put in is not looked at again. A name that is
// not given is a defect.
std::string Fill(std::string_view text,
                 std::initializer_list<std::pair<std::string_view, std::string>> values);

}  // namespace quern::cli
