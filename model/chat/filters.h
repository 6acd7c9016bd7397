#pragma once

#include <span>
#include <string_view>
#include <utility>

#include "model/chat/value.h"

namespace quern::jinja {

class Machine;

// value|name(args) and `value is name(args)`.
using FilterFunction = Value (*)(Machine& machine, const Value& value, const Args& args);
using TestFunction = bool (*)(Machine& machine, const Value& value, const Args& args);

// nullptr where there is none of this name.
FilterFunction FindFilter(std::string_view name);
TestFunction FindTest(std::string_view name);
inline bool HasFilter(std::string_view name) { return FindFilter(name) != nullptr; }
inline bool HasTest(std::string_view name) { return FindTest(name) != nullptr; }

using FilterEntry = std::pair<std::string_view, FilterFunction>;
std::span<const FilterEntry> TextFilters();
std::span<const FilterEntry> NumberFilters();
std::span<const FilterEntry> SequenceFilters();
std::span<const FilterEntry> SelectionFilters();

}  // namespace quern::jinja
