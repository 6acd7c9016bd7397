#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace quern {

// xxh64 with seed 0, fed piece by piece.
class Xxh64 {
 public:
  Xxh64();
  ~Xxh64();
  Xxh64(Xxh64&&) noexcept;
  Xxh64& operator=(Xxh64&&) noexcept;

  void Update(std::span<const std::byte> bytes);
  uint64_t Digest() const;
  static uint64_t Of(std::span<const std::byte> bytes);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Sixteen lower-case hexadecimal digits.
std::string HexOf(uint64_t hash);

}  // namespace quern
