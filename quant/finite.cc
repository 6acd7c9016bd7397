#include "quant/finite.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "kernels/codec.h"

namespace quern {
namespace {

// Bits of the stored number without its sign; from `infinity` on it is no finite one.
template <typename Bits>
Bits LargestMagnitude(const std::byte* bytes, int64_t count) {
  constexpr Bits kMask = static_cast<Bits>(~(Bits{1} << (sizeof(Bits) * 8 - 1)));
  Bits largest = 0;
  for (int64_t i = 0; i < count; ++i) {
    Bits bits;
    std::memcpy(&bits, bytes + static_cast<size_t>(i) * sizeof(Bits), sizeof(Bits));
    largest = std::max<Bits>(largest, bits & kMask);
  }
  return largest;
}

template <typename Bits>
std::optional<int64_t> FirstFrom(const std::byte* bytes, int64_t count, Bits infinity) {
  if (LargestMagnitude<Bits>(bytes, count) < infinity) return std::nullopt;
  for (int64_t i = 0;; ++i) {
    if (LargestMagnitude<Bits>(bytes + static_cast<size_t>(i) * sizeof(Bits), 1) >= infinity) {
      return i;
    }
  }
}

constexpr uint32_t kInfinity32 = 0x7F800000;

std::optional<int64_t> FirstInBlocks(Type type, const std::byte* bytes, int64_t count) {
  if (!CanDecode(type)) return std::nullopt;
  // A multiple of every block, and small enough for the stack and the first-level cache.
  constexpr int64_t kPiece = 2048;
  std::array<float, kPiece> weights;
  for (int64_t done = 0; done < count; done += kPiece) {
    const int64_t piece = std::min(kPiece, count - done);
    Decode(type, bytes + RowBytes(type, done), piece, weights.data());
    const auto scan = ScanFinite(std::span(weights.data(), static_cast<size_t>(piece)));
    if (scan.first_non_finite) return done + *scan.first_non_finite;
  }
  return std::nullopt;
}

}  // namespace

FiniteScan ScanFinite(std::span<const float> weights) {
  const auto* bytes = reinterpret_cast<const std::byte*>(weights.data());
  const auto count = static_cast<int64_t>(weights.size());
  const auto largest = LargestMagnitude<uint32_t>(bytes, count);
  if (largest < kInfinity32) return {std::bit_cast<float>(largest), std::nullopt};
  return {std::bit_cast<float>(largest), FirstFrom<uint32_t>(bytes, count, kInfinity32)};
}

std::optional<int64_t> FirstNonFinite(Type type, std::span<const std::byte> bytes, int64_t count) {
  switch (type) {
    case Type::kF32:
      return FirstFrom<uint32_t>(bytes.data(), count, kInfinity32);
    case Type::kF16:
      return FirstFrom<uint16_t>(bytes.data(), count, 0x7C00);
    case Type::kBF16:
      return FirstFrom<uint16_t>(bytes.data(), count, 0x7F80);
    case Type::kF64:
      return FirstFrom<uint64_t>(bytes.data(), count, 0x7FF0000000000000);
    default:
      return IsQuantized(type) ? FirstInBlocks(type, bytes.data(), count) : std::nullopt;
  }
}

}  // namespace quern
