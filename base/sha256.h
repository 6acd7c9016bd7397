#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

namespace quern {

// SHA-256, fed piece by piece.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void Update(std::span<const std::byte> bytes);
  // 64 lower-case hexadecimal digits. Ends the hash: nothing may be fed after it.
  std::string HexDigest();
  static std::string HexOf(std::span<const std::byte> bytes);
  // Of a whole file, read in pieces.
  static std::string HexOfFile(const std::filesystem::path& path);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace quern
