#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/error.h"

namespace quern {

enum class ByteOrder { kLittle, kBig };

// Reads values one after the other from bytes that nobody vouches for. Every read is checked; what
// does not fit is a kBadInput error that names the file, the thing and the byte.
class Cursor {
 public:
  Cursor(std::span<const std::byte> bytes, std::string name, ByteOrder order = ByteOrder::kLittle)
      : bytes_(bytes), name_(std::move(name)), order_(order) {}

  const std::string& name() const { return name_; }
  size_t position() const { return position_; }
  size_t remaining() const { return bytes_.size() - position_; }
  void set_order(ByteOrder order) { order_ = order; }
  ByteOrder order() const { return order_; }

  // `what` names the thing in the error: "the length of key 3".
  std::span<const std::byte> Bytes(uint64_t count, std::string_view what) {
    if (count > remaining()) {
      Fail(ErrorKind::kBadInput, "{}: {} at byte {} needs {} bytes, {} are left", name_, what,
           position_, count, remaining());
    }
    const auto part = bytes_.subspan(position_, count);
    position_ += count;
    return part;
  }

  template <typename T>
  T Read(std::string_view what) {
    static_assert(std::is_arithmetic_v<T>);
    std::byte raw[sizeof(T)];
    std::memcpy(raw, Bytes(sizeof(T), what).data(), sizeof(T));
    if (order_ == ByteOrder::kBig) std::reverse(raw, raw + sizeof(T));
    T value;
    std::memcpy(&value, raw, sizeof(T));
    return value;
  }

  std::string_view Text(uint64_t count, std::string_view what) {
    const auto part = Bytes(count, what);
    return {reinterpret_cast<const char*>(part.data()), part.size()};
  }

 private:
  std::span<const std::byte> bytes_;
  std::string name_;
  ByteOrder order_;
  size_t position_ = 0;
};

// a * b and a + b, or a kBadInput error that says that `what` of `name` overflows.
inline uint64_t CheckedMul(uint64_t a, uint64_t b, const std::string& name, std::string_view what) {
  uint64_t result;
  if (__builtin_mul_overflow(a, b, &result)) {
    Fail(ErrorKind::kBadInput, "{}: {} overflows ({} x {})", name, what, a, b);
  }
  return result;
}
inline uint64_t CheckedAdd(uint64_t a, uint64_t b, const std::string& name, std::string_view what) {
  uint64_t result;
  if (__builtin_add_overflow(a, b, &result)) {
    Fail(ErrorKind::kBadInput, "{}: {} overflows ({} + {})", name, what, a, b);
  }
  return result;
}

}  // namespace quern
