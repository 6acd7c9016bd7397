#include "model/chat/bound.h"

#include <algorithm>

#include "model/chat/heap.h"

namespace quern::jinja {

Bound::Bound(std::string_view function, const Args& args,
             std::initializer_list<std::string_view> parameters, size_t required)
    : function_(function), values_(parameters.size()), given_(parameters.size()) {
  if (args.at.size() > parameters.size()) {
    Refuse("{}() takes at most {} arguments, {} given", function, parameters.size(),
           args.at.size());
  }
  for (size_t i = 0; i < args.at.size(); ++i) {
    values_[i] = args.at[i];
    given_[i] = true;
  }
  for (const auto& [name, value] : args.named) {
    const auto place = std::find(parameters.begin(), parameters.end(), name);
    const auto index = static_cast<size_t>(place - parameters.begin());
    if (place == parameters.end()) {
      Refuse("{}() got an unexpected keyword argument '{}'", function, name);
    }
    if (given_[index]) Refuse("{}() got multiple values for argument '{}'", function, name);
    values_[index] = value;
    given_[index] = true;
  }
  for (size_t i = 0; i < required; ++i) {
    if (!given_[i]) {
      Refuse("{}() is missing the argument '{}'", function, parameters.begin()[i]);
    }
  }
}

bool Bound::Has(size_t index) const { return given_[index] && !values_[index].Is(Kind::kNone); }

Int Bound::Integer(size_t index, Int otherwise) const {
  if (!given_[index]) return otherwise;
  if (!values_[index].IsInt()) {
    Refuse("{}(): '{}' object cannot be interpreted as an integer", function_,
           TypeName(values_[index]));
  }
  return values_[index].integer();
}

const std::string& Bound::Text(size_t index) const {
  if (!values_[index].Is(Kind::kString)) {
    Refuse("{}() argument must be str, not {}", function_, TypeName(values_[index]));
  }
  return values_[index].text();
}

bool Bound::Flag(size_t index, bool otherwise) const {
  return given_[index] ? Truth(values_[index]) : otherwise;
}

}  // namespace quern::jinja
