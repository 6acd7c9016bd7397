#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "model/chat/value.h"

// Everything that a rendering makes lives in its heap until the rendering ends, so values are plain
// pointers, cycles leak nothing, and what was ever made bounds what is there.
namespace quern::jinja {

// What the reference would raise as an exception; the template's name and line are added to it
// where it leaves the interpreter.
class Refusal : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

template <typename... Args>
[[noreturn]] void Refuse(fmt::format_string<Args...> format, Args&&... args) {
  throw Refusal(fmt::format(format, std::forward<Args>(args)...));
}

class Heap {
 public:
  // Bytes made in all, and steps taken, after which a Refusal is thrown.
  Heap(int64_t max_bytes, int64_t max_steps) : bytes_left_(max_bytes), steps_left_(max_steps) {}
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;

  void Step(int64_t count = 1) {
    if ((steps_left_ -= count) < 0) Refuse("the template takes too long");
  }
  // Before memory is taken that grows with the input.
  void Charge(uint64_t bytes) {
    if (bytes > static_cast<uint64_t>(bytes_left_)) Refuse("the template uses too much memory");
    bytes_left_ -= static_cast<int64_t>(bytes);
  }
  void ChargeValues(uint64_t count) {
    if (count > (uint64_t{1} << 40)) Refuse("the template uses too much memory");
    Charge(count * sizeof(Value));
  }

  template <typename T, typename... Args>
  T* New(Args&&... args) {
    Charge(sizeof(T) + sizeof(void*));
    auto made = std::make_unique<T>(std::forward<Args>(args)...);
    T* const pointer = made.get();
    objects_.push_back(std::move(made));
    return pointer;
  }

  Value Str(std::string text, bool safe = false);
  Value ListOf(std::vector<Value> items);
  Value TupleOf(std::vector<Value> items);
  Value SeriesOf(Series::Form form, std::string shown, std::vector<Value> items);
  Value Function(std::string name, NativeFunction function);
  // An undefined value and what is said where it is used.
  Value Undefined(std::string why);

 private:
  int64_t bytes_left_, steps_left_;
  std::vector<std::unique_ptr<Object>> objects_;
};

}  // namespace quern::jinja
