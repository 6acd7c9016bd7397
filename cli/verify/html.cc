#include "cli/verify/html.h"

#include <algorithm>

#include "base/error.h"
#include "base/html.h"

namespace quern::cli {

std::string Escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool control = static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
    out += control ? "\xEF\xBF\xBD" : std::string(1, c);
  }
  return EscapeHtml(out);
}

std::string Fill(std::string_view text,
                 std::initializer_list<std::pair<std::string_view, std::string>> values) {
  std::string out;
  for (;;) {
    const size_t open = text.find("{{");
    out += text.substr(0, open);
    if (open == std::string_view::npos) return out;
    const size_t close = text.find("}}", open);
    QUERN_CHECK(close != std::string_view::npos);
    const std::string_view name = text.substr(open + 2, close - open - 2);
    const auto found = std::find_if(values.begin(), values.end(),
                                    [&](const auto& value) { return value.first == name; });
    QUERN_CHECK(found != values.end());
    out += found->second;
    text.remove_prefix(close + 2);
  }
}

}  // namespace quern::cli
