#include "model/chat/filters.h"

#include <map>

namespace quern::jinja {

FilterFunction FindFilter(std::string_view name) {
  static const auto* const kFilters = [] {
    auto* all = new std::map<std::string_view, FilterFunction>();
    for (const auto& filters :
         {TextFilters(), NumberFilters(), SequenceFilters(), SelectionFilters()}) {
      all->insert(filters.begin(), filters.end());
    }
    return all;
  }();
  const auto found = kFilters->find(name);
  return found == kFilters->end() ? nullptr : found->second;
}

}  // namespace quern::jinja
