#include "model/text_stream.h"

#include <algorithm>

namespace quern {
namespace {

// Bytes at the end that begin a character of UTF-8 and do not end it.
size_t UnfinishedBytes(std::string_view text) {
  for (size_t back = 1; back <= std::min<size_t>(text.size(), 3); ++back) {
    const auto byte = static_cast<unsigned char>(text[text.size() - back]);
    if ((byte & 0xC0) == 0x80) continue;
    const size_t length = byte >= 0xF0 && byte < 0xF8 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1;
    return byte < 0xF8 && length > back ? back : 0;
  }
  return 0;
}

// The longest end of `text` that a stop string begins with.
size_t BegunStop(std::string_view text, const std::vector<std::string>& stops) {
  size_t longest = 0;
  for (const std::string& stop : stops) {
    for (size_t size = std::min(stop.size() - 1, text.size()); size > longest; --size) {
      if (text.ends_with(std::string_view(stop).substr(0, size))) longest = size;
    }
  }
  return longest;
}

}  // namespace

TextStream::TextStream(std::vector<std::string> stops) : stops_(std::move(stops)) {
  std::erase(stops_, "");
}

std::string TextStream::Add(std::string_view bytes) {
  if (!stop_.empty()) return "";
  held_ += bytes;
  size_t first = std::string::npos;
  for (const std::string& stop : stops_) {
    const size_t at = held_.find(stop);
    if (at < first) {
      first = at;
      stop_ = stop;
    }
  }
  if (first != std::string::npos) {
    std::string out = Release(first);
    held_.clear();
    return out;
  }
  return Release(held_.size() - std::max(UnfinishedBytes(held_), BegunStop(held_, stops_)));
}

std::string TextStream::Finish() { return Release(held_.size()); }

std::string TextStream::Release(size_t count) {
  std::string out = held_.substr(0, count);
  held_.erase(0, count);
  text_ += out;
  return out;
}

}  // namespace quern
