#pragma once

#include <span>
#include <string_view>
#include <utility>

#include "model/chat/value.h"

namespace quern::jinja {

class Machine;

// self.name(args), as Python's types have it.
using Method = Value (*)(Machine& machine, const Value& self, const Args& args);
using MethodEntry = std::pair<std::string_view, Method>;

// The method of this value, or nullptr.
Method FindMethod(const Value& value, std::string_view name);
// Calls it; of safe text, the result is safe too.
Value CallMethod(Machine& machine, Method method, const Value& self, const Args& args);

std::span<const MethodEntry> TextMethods();
std::span<const MethodEntry> SearchMethods();  // of text too
std::span<const MethodEntry> ListMethods();
std::span<const MethodEntry> TupleMethods();
std::span<const MethodEntry> DictMethods();

}  // namespace quern::jinja
