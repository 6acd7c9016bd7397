#include "gguf/metadata.h"

#include <limits>

#include "base/error.h"

namespace quern {
namespace {

template <typename To, typename From>
std::vector<To> Convert(std::span<const std::byte> bytes) {
  std::vector<To> values(bytes.size() / sizeof(From));
  for (size_t i = 0; i < values.size(); ++i) {
    From value;
    std::memcpy(&value, bytes.data() + i * sizeof(From), sizeof(From));
    values[i] = static_cast<To>(value);
  }
  return values;
}

template <typename To>
std::vector<To> ConvertArray(ValueType type, std::span<const std::byte> bytes) {
  switch (type) {
#define QUERN_CONVERT(name, text, id, type) \
  case ValueType::k##name:                  \
    return Convert<To, type>(bytes);
    QUERN_SCALARS(QUERN_CONVERT)
#undef QUERN_CONVERT
    default:
      return {};
  }
}

}  // namespace

std::string_view NameOf(ValueType type) {
  switch (type) {
#define QUERN_NAME(name, text, id, type) \
  case ValueType::k##name:               \
    return text;
    QUERN_SCALARS(QUERN_NAME)
#undef QUERN_NAME
    case ValueType::kString:
      return "str";
    case ValueType::kArray:
      return "arr";
  }
  return "?";
}

std::optional<ValueType> ValueTypeFromId(uint32_t id) {
  if (id > static_cast<uint32_t>(ValueType::kF64)) return std::nullopt;
  return static_cast<ValueType>(id);
}

size_t SizeOf(ValueType type) {
  switch (type) {
#define QUERN_SIZE(name, text, id, type) \
  case ValueType::k##name:               \
    return sizeof(type);
    QUERN_SCALARS(QUERN_SIZE)
#undef QUERN_SIZE
    default:
      return 0;
  }
}

std::vector<double> Array::ToDoubles() const { return ConvertArray<double>(type_, bytes_); }

std::vector<int64_t> Array::ToInts() const {
  // A double beyond the range of int64 has no integer to be, so floats are refused as a whole.
  if (type_ == ValueType::kF32 || type_ == ValueType::kF64) return {};
  return ConvertArray<int64_t>(type_, bytes_);
}

ValueType Value::type() const {
  return std::visit(
      [](const auto& value) {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, Array>)
          return ValueType::kArray;
        else
          return ValueTypeOf<T>();
      },
      value_);
}

std::optional<int64_t> Value::ToInt() const {
  return std::visit(
      [](const auto& value) -> std::optional<int64_t> {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, uint64_t>) {
          if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return {};
          return static_cast<int64_t>(value);
        } else if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
          return value;
        } else {
          return {};
        }
      },
      value_);
}

std::optional<double> Value::ToDouble() const {
  return std::visit(
      [](const auto& value) -> std::optional<double> {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>) {
          return static_cast<double>(value);
        } else {
          return {};
        }
      },
      value_);
}

const Value* Metadata::Find(std::string_view key) const {
  const auto found = index_.find(std::string(key));
  return found == index_.end() ? nullptr : &entries_[found->second].second;
}

void Metadata::Set(std::string_view key, Value value) {
  const auto [place, added] = index_.try_emplace(std::string(key), entries_.size());
  if (added) {
    entries_.emplace_back(std::string(key), std::move(value));
  } else {
    entries_[place->second].second = std::move(value);
  }
}

void Metadata::SetLast(std::string_view key, Value value) {
  Remove(key);
  Set(key, std::move(value));
}

void Metadata::Remove(std::string_view key) {
  if (std::erase_if(entries_, [&](const Entry& entry) { return entry.first == key; }) == 0) return;
  index_.clear();
  for (size_t i = 0; i < entries_.size(); ++i) index_[entries_[i].first] = i;
}

namespace {

[[noreturn]] void FailType(const Metadata& metadata, std::string_view key, std::string_view wanted,
                           const Value& got) {
  Fail(ErrorKind::kBadInput, "{}: key '{}' should be {}, it is of type {}", metadata.name(), key,
       wanted, NameOf(got.type()));
}

template <typename T>
T Need(const Metadata& metadata, std::string_view key, std::optional<T> value) {
  if (!value) Fail(ErrorKind::kBadInput, "{}: key '{}' is missing", metadata.name(), key);
  return *std::move(value);
}

}  // namespace

std::optional<int64_t> Metadata::Int(std::string_view key) const {
  const Value* value = Find(key);
  if (!value) return std::nullopt;
  const auto number = value->ToInt();
  if (!number) FailType(*this, key, "an integer", *value);
  return number;
}

std::optional<double> Metadata::Number(std::string_view key) const {
  const Value* value = Find(key);
  if (!value) return std::nullopt;
  const auto number = value->ToDouble();
  if (!number) FailType(*this, key, "a number", *value);
  return number;
}

std::optional<bool> Metadata::Bool(std::string_view key) const {
  const Value* value = Find(key);
  if (!value) return std::nullopt;
  const bool* flag = std::get_if<bool>(&value->variant());
  if (!flag) FailType(*this, key, "a bool", *value);
  return *flag;
}

std::optional<std::string> Metadata::Text(std::string_view key) const {
  const Value* value = Find(key);
  if (!value) return std::nullopt;
  if (!value->ToText()) FailType(*this, key, "a string", *value);
  return *value->ToText();
}

const Array* Metadata::FindArray(std::string_view key) const {
  const Value* value = Find(key);
  if (value && !value->ToArray()) FailType(*this, key, "an array", *value);
  return value ? value->ToArray() : nullptr;
}

int64_t Metadata::NeedInt(std::string_view key) const { return Need(*this, key, Int(key)); }
double Metadata::NeedNumber(std::string_view key) const { return Need(*this, key, Number(key)); }
std::string Metadata::NeedText(std::string_view key) const { return Need(*this, key, Text(key)); }

const Array& Metadata::NeedArray(std::string_view key) const {
  const Array* array = FindArray(key);
  if (!array) Fail(ErrorKind::kBadInput, "{}: key '{}' is missing", name_, key);
  return *array;
}

}  // namespace quern
