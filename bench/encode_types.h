#pragma once

#include <fmt/format.h>

#include <exception>
#include <span>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "kernels/codec.h"

// What the programs that measure encoders have in common.

namespace quern {

// The types of these names, or where there are none all that `takes` accepts. Errors kUsage for a
// name that it does not.
template <class Takes>
std::vector<Type> TypesToMeasure(std::span<const std::string_view> names, const Takes& takes) {
  std::vector<Type> types;
  for (const std::string_view name : names) {
    const auto type = TypeFromName(name);
    if (!type || !takes(*type)) Fail(ErrorKind::kUsage, "'{}' is no type to encode to", name);
    types.push_back(*type);
  }
  for (const TypeInfo& info : kTypes) {
    if (names.empty() && takes(info.type)) types.push_back(info.type);
  }
  return types;
}

inline bool IsEncodedQuantized(Type type) { return IsQuantized(type) && CanEncode(type); }

// run(arguments); what it throws is told, and the exit status then 1.
template <class Run>
int RunProgram(int argc, char** argv, const Run& run) {
  try {
    return run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return 1;
  }
}

}  // namespace quern
