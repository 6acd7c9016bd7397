#pragma once

#include <cstdint>
#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace quern {

// An object of a JSON file that nobody vouches for, read field by field. A field that is null
// counts as absent; one of the wrong type or range is a kBadInput error that names file and field.
class JsonFields {
 public:
  // `name` is the file's, or "config.json: rope_parameters". Error kBadInput where `object` is no
  // object. Keeps a reference to it.
  JsonFields(const nlohmann::json& object, std::string name);

  const std::string& name() const { return name_; }
  const nlohmann::json* Find(std::string_view key) const;
  bool Has(std::string_view key) const { return Find(key) != nullptr; }

  std::optional<int64_t> Int(std::string_view key, int64_t min,
                             int64_t max = std::numeric_limits<int32_t>::max()) const;
  // Finite.
  std::optional<double> Number(std::string_view key) const;
  std::optional<bool> Bool(std::string_view key) const;
  std::optional<std::string> Text(std::string_view key) const;
  std::optional<JsonFields> Object(std::string_view key) const;
  // The array's items by index, or nullptr.
  const nlohmann::json* Array(std::string_view key) const;

  int64_t NeedInt(std::string_view key, int64_t min,
                  int64_t max = std::numeric_limits<int32_t>::max()) const;
  std::string NeedText(std::string_view key) const;
  JsonFields NeedObject(std::string_view key) const;

  // Error kBadInput: "config.json: 'hidden_size' should be an integer, it is a string".
  [[noreturn]] void FailType(std::string_view key, std::string_view wanted,
                             const nlohmann::json& got) const;

 private:
  [[noreturn]] void FailMissing(std::string_view key) const;

  const nlohmann::json* object_;
  std::string name_;
};

}  // namespace quern
