#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace quern {

// Value types of GGUF: X(name, printed name, id, C++ type).
#define QUERN_SCALARS(X)      \
  X(U8, "u8", 0, uint8_t)     \
  X(I8, "i8", 1, int8_t)      \
  X(U16, "u16", 2, uint16_t)  \
  X(I16, "i16", 3, int16_t)   \
  X(U32, "u32", 4, uint32_t)  \
  X(I32, "i32", 5, int32_t)   \
  X(F32, "f32", 6, float)     \
  X(Bool, "bool", 7, bool)    \
  X(U64, "u64", 10, uint64_t) \
  X(I64, "i64", 11, int64_t)  \
  X(F64, "f64", 12, double)

enum class ValueType : uint32_t {
#define QUERN_VALUE_ENUM(name, text, id, type) k##name = id,
  QUERN_SCALARS(QUERN_VALUE_ENUM)
#undef QUERN_VALUE_ENUM
      kString = 8,
  kArray = 9,
};

std::string_view NameOf(ValueType type);
std::optional<ValueType> ValueTypeFromId(uint32_t id);
// Bytes of one scalar; strings and arrays have none of their own.
size_t SizeOf(ValueType type);

template <typename T>
constexpr ValueType ValueTypeOf() {
#define QUERN_VALUE_OF(name, text, id, type) \
  if constexpr (std::is_same_v<T, type>)     \
    return ValueType::k##name;               \
  else
  QUERN_SCALARS(QUERN_VALUE_OF)
#undef QUERN_VALUE_OF
  return ValueType::kString;
}

// An array of one scalar type, kept as little-endian bytes, or of strings. GGUF's arrays of arrays
// are not in use anywhere, and are refused by the reader.
class Array {
 public:
  Array() = default;
  Array(ValueType type, std::vector<std::byte> bytes) : type_(type), bytes_(std::move(bytes)) {}
  explicit Array(std::vector<std::string> strings)
      : type_(ValueType::kString), strings_(std::move(strings)) {}
  template <typename T>
  static Array Of(std::span<const T> values) {
    std::vector<std::byte> bytes(values.size_bytes());
    if (!bytes.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
    return Array(ValueTypeOf<T>(), std::move(bytes));
  }

  ValueType type() const { return type_; }
  size_t size() const {
    return type_ == ValueType::kString ? strings_.size() : bytes_.size() / SizeOf(type_);
  }
  std::span<const std::byte> bytes() const { return bytes_; }
  const std::vector<std::string>& strings() const { return strings_; }
  // The elements, whatever number type they are stored in; of strings there are none.
  std::vector<double> ToDoubles() const;
  std::vector<int64_t> ToInts() const;
  bool operator==(const Array&) const = default;

 private:
  ValueType type_ = ValueType::kU8;
  std::vector<std::byte> bytes_;
  std::vector<std::string> strings_;
};

class Value {
 public:
  using Variant = std::variant<uint8_t, int8_t, uint16_t, int16_t, uint32_t, int32_t, float, bool,
                               uint64_t, int64_t, double, std::string, Array>;
  Value(const char* text) : value_(std::string(text)) {}  // NOLINT: values read like literals
  template <typename T>
  requires std::is_constructible_v<Variant, T> Value(T value)
      : value_(std::move(value)) {}  // NOLINT

  ValueType type() const;
  const Variant& variant() const { return value_; }
  // The value as a number of this kind, if it is one and fits.
  std::optional<int64_t> ToInt() const;
  std::optional<double> ToDouble() const;
  const std::string* ToText() const { return std::get_if<std::string>(&value_); }
  const Array* ToArray() const { return std::get_if<Array>(&value_); }
  bool operator==(const Value&) const = default;

 private:
  Variant value_;
};

// The keys of a GGUF file, in the file's order.
class Metadata {
 public:
  using Entry = std::pair<std::string, Value>;

  // `name` is the file's, for errors.
  explicit Metadata(std::string name = "metadata") : name_(std::move(name)) {}

  const std::string& name() const { return name_; }
  void set_name(std::string name) { name_ = std::move(name); }
  const std::vector<Entry>& entries() const { return entries_; }
  bool Has(std::string_view key) const { return Find(key) != nullptr; }
  const Value* Find(std::string_view key) const;

  // Sets a key: one that exists keeps its place.
  void Set(std::string_view key, Value value);
  // Sets a key the way llama-quantize does: it moves to the end.
  void SetLast(std::string_view key, Value value);
  void Remove(std::string_view key);

  // What is there, or nullopt; error kBadInput where the key has another type.
  std::optional<int64_t> Int(std::string_view key) const;
  std::optional<double> Number(std::string_view key) const;
  std::optional<bool> Bool(std::string_view key) const;
  std::optional<std::string> Text(std::string_view key) const;
  const Array* FindArray(std::string_view key) const;
  // The same where the key must be there.
  int64_t NeedInt(std::string_view key) const;
  double NeedNumber(std::string_view key) const;
  std::string NeedText(std::string_view key) const;
  const Array& NeedArray(std::string_view key) const;

 private:
  std::string name_;
  std::vector<Entry> entries_;
  std::unordered_map<std::string, size_t> index_;
};

}  // namespace quern
