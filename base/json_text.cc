#include "base/json_text.h"

#include <limits>
#include <nlohmann/json.hpp>
#include <unordered_set>
#include <vector>

#include "base/error.h"

namespace quern {
namespace {

// Sees every event of a parse, and throws where the text breaks a rule that the parser lacks.
template <typename Json>
class Rules {
 public:
  Rules(const std::string& name, size_t max_keys) : name_(name), max_keys_(max_keys) {}

  void See(typename Json::parse_event_t event, const Json& parsed) {
    using Event = typename Json::parse_event_t;
    switch (event) {
      case Event::object_start:
      case Event::array_start:
        if (keys_.size() == kMaxJsonDepth) {
          Fail(ErrorKind::kBadInput, "{}: JSON is nested deeper than {} levels", name_,
               kMaxJsonDepth);
        }
        keys_.emplace_back();
        break;
      case Event::object_end:
      case Event::array_end:
        keys_.pop_back();
        break;
      case Event::key:
        SeeKey(parsed.template get_ref<const std::string&>());
        break;
      case Event::value:
        break;
    }
  }

 private:
  void SeeKey(const std::string& key) {
    if (!keys_.back().insert(key).second) {
      Fail(ErrorKind::kBadInput, "{}: JSON has the key '{}' twice in one object", name_, key);
    }
    if (keys_.back().size() > max_keys_) {
      Fail(ErrorKind::kBadInput, "{}: JSON has an object of more than {} keys", name_, max_keys_);
    }
  }

  const std::string& name_;
  size_t max_keys_;
  // One set per open object or array (an array's stays empty).
  std::vector<std::unordered_set<std::string>> keys_;
};

template <typename Json>
Json Parse(std::string_view text, const std::string& name, size_t max_keys) {
  Rules<Json> rules(name, max_keys);
  try {
    return Json::parse(text.begin(), text.end(),
                       [&rules](int, typename Json::parse_event_t event, Json& parsed) {
                         rules.See(event, parsed);
                         return true;
                       });
  } catch (const nlohmann::json::exception& error) {
    Fail(ErrorKind::kBadInput, "{}: is no valid JSON: {}", name, error.what());
  }
}

}  // namespace

nlohmann::json ParseJson(std::string_view text, const std::string& name) {
  return Parse<nlohmann::json>(text, name, std::numeric_limits<size_t>::max());
}

nlohmann::ordered_json ParseOrderedJson(std::string_view text, const std::string& name) {
  return Parse<nlohmann::ordered_json>(text, name, 10000);
}

}  // namespace quern
