#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace quern {

// A regular expression over tensor names, searched for anywhere in them, as llama-quantize takes
// it: ECMAScript's syntax, and letters in lower case. A match that takes too many steps is an error
// (kUnsupported), so no name can stall the program.
class NamePattern {
 public:
  // Error kUsage where the text is no regular expression.
  explicit NamePattern(std::string_view text);

  const std::string& text() const { return text_; }
  bool FoundIn(std::string_view name) const;

 private:
  struct Code;
  std::string text_;
  std::shared_ptr<const Code> code_;
};

}  // namespace quern
