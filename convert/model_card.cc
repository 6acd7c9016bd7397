#include "convert/model_card.h"

#include <optional>

namespace quern {
namespace {

constexpr std::string_view kSpace = " \t\r";

std::string_view Trim(std::string_view text) {
  const size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

std::string_view TakeLine(std::string_view& text) {
  const size_t end = text.find('\n');
  std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

// A text without its quotes and comment; nothing for null.
std::optional<std::string> Scalar(std::string_view text) {
  text = Trim(text);
  if (text.empty() || text == "~" || text == "null") return std::nullopt;
  const char quote = text.front();
  if (quote == '"' || quote == '\'') {
    const size_t end = text.find(quote, 1);
    return std::string(text.substr(1, end == std::string_view::npos ? end : end - 1));
  }
  if (const size_t comment = text.find(" #"); comment != std::string_view::npos) {
    text = Trim(text.substr(0, comment));
  }
  return std::string(text);
}

CardField FlowList(std::string_view text) {
  CardField field{.is_list = true, .values = {}};
  text.remove_prefix(1);
  text = text.substr(0, text.find(']'));
  while (!text.empty()) {
    const size_t comma = text.find(',');
    if (auto item = Scalar(text.substr(0, comma))) field.values.push_back(*std::move(item));
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
  }
  return field;
}

bool IsItem(std::string_view line) {
  const std::string_view text = Trim(line);
  return text == "-" || text.starts_with("- ");
}

// "name: x" as the item of a list is a mapping, "https://x" is not.
bool IsMapping(std::string_view item) {
  if (!item.empty() && (item.front() == '"' || item.front() == '\'')) return false;
  return item.find(": ") != std::string_view::npos || item.ends_with(':');
}

class CardReader {
 public:
  ModelCard Take() && { return std::move(card_); }

  void Line(std::string_view line) {
    const std::string_view text = Trim(line);
    if (text.empty() || text.front() == '#') return;
    const bool indented = kSpace.find(line.front()) != std::string_view::npos;
    if (IsItem(line) && list_) {
      const std::string_view item = Trim(text.substr(1));
      if (IsMapping(item)) {
        card_.erase(key_);
        list_ = false;
      } else if (auto value = Scalar(item)) {
        CardField& field = card_[key_];
        field.is_list = true;
        field.values.push_back(*std::move(value));
      }
    } else if (!indented) {
      KeyLine(text);
    }
  }

 private:
  void KeyLine(std::string_view text) {
    list_ = false;
    const size_t colon = text.find(':');
    if (colon == std::string_view::npos) return;
    const auto key = Scalar(text.substr(0, colon));
    if (!key) return;
    key_ = *key;
    const std::string_view value = Trim(text.substr(colon + 1));
    list_ = value.empty();
    if (value.empty() || value.front() == '|' || value.front() == '>' || value.front() == '{') {
      return;
    }
    if (value.front() == '[') {
      card_[key_] = FlowList(value);
    } else if (auto scalar = Scalar(value)) {
      card_[key_] = {.is_list = false, .values = {*std::move(scalar)}};
    }
  }

  ModelCard card_;
  std::string key_;
  bool list_ = false;  // whether items may follow
};

}  // namespace

ModelCard ParseModelCard(std::string_view readme) {
  if (TakeLine(readme) != "---") return {};
  CardReader reader;
  while (!readme.empty()) {
    const std::string_view line = TakeLine(readme);
    if (line == "---") return std::move(reader).Take();
    if (!line.empty()) reader.Line(line);
  }
  return std::move(reader).Take();
}

}  // namespace quern
