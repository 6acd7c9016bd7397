#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace quern {

// A field of a model card: one value, or the items of a list.
struct CardField {
  bool is_list = false;
  std::vector<std::string> values;
};
using ModelCard = std::map<std::string, CardField, std::less<>>;

// The front matter of a README.md: the YAML between its first two "---" lines. Reads what model
// cards are made of: texts, plain or quoted, and lists of texts, in either style. Nested mappings,
// block texts and what is no YAML are left out, for a card is no part of the model.
ModelCard ParseModelCard(std::string_view readme);

}  // namespace quern
