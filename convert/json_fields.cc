#include "convert/json_fields.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace quern {

using nlohmann::json;

JsonFields::JsonFields(const json& object, std::string name)
    : object_(&object), name_(std::move(name)) {
  if (!object.is_object()) {
    Fail(ErrorKind::kBadInput, "{}: should be a JSON object, it is a JSON {}", name_,
         object.type_name());
  }
}

const json* JsonFields::Find(std::string_view key) const {
  const auto found = object_->find(std::string(key));
  return found == object_->end() || found->is_null() ? nullptr : &*found;
}

void JsonFields::FailType(std::string_view key, std::string_view wanted, const json& got) const {
  Fail(ErrorKind::kBadInput, "{}: '{}' should be {}, it is a JSON {}", name_, key, wanted,
       got.type_name());
}

void JsonFields::FailMissing(std::string_view key) const {
  Fail(ErrorKind::kBadInput, "{}: '{}' is missing", name_, key);
}

std::optional<int64_t> JsonFields::Int(std::string_view key, int64_t min, int64_t max) const {
  const json* value = Find(key);
  if (!value) return std::nullopt;
  if (!value->is_number_integer()) FailType(key, "an integer", *value);
  const bool huge = value->is_number_unsigned() &&
                    value->get<uint64_t>() > uint64_t{std::numeric_limits<int64_t>::max()};
  const int64_t number = huge ? std::numeric_limits<int64_t>::max() : value->get<int64_t>();
  if (number < min || number > max) {
    Fail(ErrorKind::kBadInput, "{}: '{}' should be from {} to {}, it is {}", name_, key, min, max,
         value->dump());
  }
  return number;
}

std::optional<double> JsonFields::Number(std::string_view key) const {
  const json* value = Find(key);
  if (!value) return std::nullopt;
  if (!value->is_number()) FailType(key, "a number", *value);
  const auto number = value->get<double>();
  if (!std::isfinite(number)) Fail(ErrorKind::kBadInput, "{}: '{}' is not finite", name_, key);
  return number;
}

std::optional<bool> JsonFields::Bool(std::string_view key) const {
  const json* value = Find(key);
  if (!value) return std::nullopt;
  if (!value->is_boolean()) FailType(key, "true or false", *value);
  return value->get<bool>();
}

std::optional<std::string> JsonFields::Text(std::string_view key) const {
  const json* value = Find(key);
  if (!value) return std::nullopt;
  if (!value->is_string()) FailType(key, "a string", *value);
  return value->get<std::string>();
}

std::optional<JsonFields> JsonFields::Object(std::string_view key) const {
  const json* value = Find(key);
  if (!value) return std::nullopt;
  if (!value->is_object()) FailType(key, "an object", *value);
  return JsonFields(*value, fmt::format("{}: {}", name_, key));
}

const json* JsonFields::Array(std::string_view key) const {
  const json* value = Find(key);
  if (value && !value->is_array()) FailType(key, "an array", *value);
  return value;
}

int64_t JsonFields::NeedInt(std::string_view key, int64_t min, int64_t max) const {
  const auto value = Int(key, min, max);
  if (!value) FailMissing(key);
  return *value;
}

std::string JsonFields::NeedText(std::string_view key) const {
  auto value = Text(key);
  if (!value) FailMissing(key);
  return *std::move(value);
}

JsonFields JsonFields::NeedObject(std::string_view key) const {
  auto value = Object(key);
  if (!value) FailMissing(key);
  return *std::move(value);
}

}  // namespace quern
