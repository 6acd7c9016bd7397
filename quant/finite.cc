#include "quant/finite.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "base/error.h"
#include "kernels/codec.h"
#include "kernels/half.h"
#include "kernels/ops/largest_bits.h"

namespace quern {
namespace {

// The first of the numbers whose bits without the sign are `infinity` or above, which is none that
// is finite; `largest` are the largest such bits.
template <typename Bits>
std::optional<int64_t> FirstFrom(const std::byte* bytes, Bits infinity, Bits largest) {
  if (largest < infinity) return std::nullopt;
  constexpr Bits kMagnitude = static_cast<Bits>(~(Bits{1} << (sizeof(Bits) * 8 - 1)));
  for (int64_t i = 0;; ++i) {
    Bits bits;
    std::memcpy(&bits, bytes + static_cast<size_t>(i) * sizeof(Bits), sizeof(Bits));
    if ((bits & kMagnitude) >= infinity) return i;
  }
}

// As LargestBits32, for doubles, which are rare.
uint64_t LargestBits64(const std::byte* bytes, int64_t count) {
  uint64_t largest = 0;
  for (int64_t i = 0; i < count; ++i) {
    uint64_t bits;
    std::memcpy(&bits, bytes + 8 * i, sizeof(bits));
    largest = std::max(largest, bits & ~(uint64_t{1} << 63));
  }
  return largest;
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
  return ScanFinite(Type::kF32, std::as_bytes(weights), std::ssize(weights));
}

FiniteScan ScanFinite(Type type, std::span<const std::byte> bytes, int64_t count) {
  if (type == Type::kF32) {
    const uint32_t largest = LargestBits32(bytes.data(), count);
    return {std::bit_cast<float>(largest), FirstFrom<uint32_t>(bytes.data(), kInfinity32, largest)};
  }
  QUERN_CHECK(type == Type::kF16 || type == Type::kBF16);
  const auto largest = static_cast<uint16_t>(LargestBits16(bytes.data(), count));
  if (type == Type::kF16) {
    return {HalfToFloat(largest), FirstFrom<uint16_t>(bytes.data(), 0x7C00, largest)};
  }
  return {Bf16ToFloat(largest), FirstFrom<uint16_t>(bytes.data(), 0x7F80, largest)};
}

std::optional<int64_t> FirstNonFinite(Type type, std::span<const std::byte> bytes, int64_t count) {
  switch (type) {
    case Type::kF32:
      return FirstFrom<uint32_t>(bytes.data(), kInfinity32, LargestBits32(bytes.data(), count));
    case Type::kF16:
      return FirstFrom<uint16_t>(bytes.data(), 0x7C00, LargestBits16(bytes.data(), count));
    case Type::kBF16:
      return FirstFrom<uint16_t>(bytes.data(), 0x7F80, LargestBits16(bytes.data(), count));
    case Type::kF64:
      return FirstFrom<uint64_t>(bytes.data(), 0x7FF0000000000000,
                                 LargestBits64(bytes.data(), count));
    default:
      return IsQuantized(type) ? FirstInBlocks(type, bytes.data(), count) : std::nullopt;
  }
}

}  // namespace quern
