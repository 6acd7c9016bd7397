#pragma once

#include <bit>
#include <cstdint>
#include <type_traits>

#include "tests/ptx/machine.h"

// A thread's registers as numbers of a type: the lowest bits count.

namespace quern::ptx {

template <class T>
T Thread::Get(uint32_t r) const {
  if constexpr (std::is_same_v<T, float>) {
    return std::bit_cast<float>(static_cast<uint32_t>(registers_[r]));
  } else if constexpr (std::is_same_v<T, double>) {
    return std::bit_cast<double>(registers_[r]);
  } else {
    return static_cast<T>(registers_[r]);
  }
}

template <class T>
void Thread::Put(uint32_t r, T value) {
  if constexpr (std::is_same_v<T, float>) {
    registers_[r] = std::bit_cast<uint32_t>(value);
  } else {
    registers_[r] = static_cast<uint64_t>(value);
  }
}

}  // namespace quern::ptx
