#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "model/chat/value.h"

namespace quern::jinja {

// The arguments of a call to a function of these parameters, by place or by name:
//   const Bound bound("center", args, {"width", "fillchar"}, 1);
//   const Int width = bound.Integer(0);
class Bound {
 public:
  // The first `required` must be given. `function` and the names must outlive it.
  Bound(std::string_view function, const Args& args,
        std::initializer_list<std::string_view> parameters, size_t required = 0);

  // Whether the argument is there and not none.
  bool Has(size_t index) const;
  // What was given, or none.
  Value At(size_t index) const { return values_[index]; }
  // Refuse another type; `otherwise` is for what was not given.
  Int Integer(size_t index, Int otherwise = 0) const;
  const std::string& Text(size_t index) const;
  bool Flag(size_t index, bool otherwise = false) const;

 private:
  std::string_view function_;
  std::vector<Value> values_;
  std::vector<bool> given_;
};

}  // namespace quern::jinja
