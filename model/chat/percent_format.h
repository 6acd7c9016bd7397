#pragma once

#include <string>
#include <string_view>

#include "model/chat/value.h"

namespace quern::jinja {

// `format % values`.
std::string PercentFormat(Heap& heap, std::string_view format, const Value& values);

}  // namespace quern::jinja
