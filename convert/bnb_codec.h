#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace quern {

// The 4-bit types of bitsandbytes: X(name, what its checkpoints call it).
#define QUERN_BNB_TYPES(X) \
  X(Nf4, "nf4")            \
  X(Fp4, "fp4")

enum class BnbType {
#define QUERN_BNB_ENUM(name, text) k##name,
  QUERN_BNB_TYPES(QUERN_BNB_ENUM)
#undef QUERN_BNB_ENUM
};
std::string_view NameOf(BnbType type);
std::optional<BnbType> BnbTypeFromName(std::string_view name);

// The weight that each code stands for, of a block whose largest magnitude is 1 (NF4: Dettmers et
// al. 2023, appendix E).
using BnbCodebook = std::array<float, 16>;
const BnbCodebook& CodebookOf(BnbType type);

// The block that bitsandbytes quantizes with one scale unless it is told otherwise: this many
// weights one after the other, through the ends of rows.
inline constexpr int64_t kBnbBlock = 64;

// One block as bitsandbytes quantizes it and decodes it again in float32, in place: absmax is the
// largest magnitude, the code is how many midpoints of the codebook lie below x * (1 / absmax).
void BnbRoundTrip(BnbType type, std::span<float> block);

// Weights [first, first + out.size()) of a tensor: `codes` begins with the byte of weight `first`
// (whose high nibble has the even one), scales[i] is the scale of block first / block_size + i.
void BnbDecode(const BnbCodebook& codebook, std::span<const std::byte> codes,
               std::span<const float> scales, int64_t block_size, int64_t first,
               std::span<float> out);

}  // namespace quern
