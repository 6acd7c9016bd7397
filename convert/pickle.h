#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace quern {

// A value that a pickle describes. Nothing is ever called: what Python would call stays a kCall.
struct PickleValue {
  enum class Kind { kNone, kBool, kInt, kFloat, kText, kTuple, kList, kDict, kGlobal, kCall, kId };

  Kind kind = Kind::kNone;
  int64_t number = 0;  // kBool, kInt
  double real = 0;     // kFloat
  std::string text;    // kText; "module.name" of kGlobal and kCall
  // kTuple, kList: the items. kDict: key, value, key, value. kCall: one, the tuple of its
  // arguments. kId: one, the persistent id.
  std::vector<const PickleValue*> items;
};

// A parsed pickle, which owns its values (they may refer to each other in circles).
struct Pickle {
  std::deque<PickleValue> values;
  const PickleValue* root = nullptr;
};

inline constexpr size_t kMaxPickleValues = 2'000'000;

// Reads a pickle of protocol 2 to 5 that nobody vouches for. Every global that it names must pass
// `allow`, which throws where it does not ("os.system"). An opcode that plain data do not need is
// kUnsupported; other errors are kBadInput. An empty call of collections.OrderedDict gives a kDict.
Pickle ParsePickle(std::span<const std::byte> bytes, const std::string& name,
                   const std::function<void(std::string_view global)>& allow);

}  // namespace quern
