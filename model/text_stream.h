#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace quern {

// Text that comes in pieces and goes out as soon as it is certain: no character of UTF-8 is cut,
// and nothing of a stop string is ever let out.
class TextStream {
 public:
  // Empty stop strings count as none.
  explicit TextStream(std::vector<std::string> stops = {});

  // Takes the next bytes, and gives those that may be shown by now. After a stop string nothing
  // more comes.
  std::string Add(std::string_view bytes);
  // At the end: what was held back and turned out to be text, a cut character's bytes included.
  std::string Finish();

  // The stop string that came, or none.
  const std::string& stop() const { return stop_; }
  // All that was let out.
  const std::string& text() const { return text_; }

 private:
  std::string Release(size_t count);

  std::vector<std::string> stops_;
  std::string held_, stop_, text_;
};

}  // namespace quern
