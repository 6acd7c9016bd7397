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
// How many scales double quantization quantizes with one scale of theirs.
inline constexpr size_t kBnbNestedBlock = 256;

// The scale of a block: its largest magnitude.
float BnbScale(std::span<const float> block);

// One block as bitsandbytes quantizes it and decodes it again in float32, in place: the code is how
// many midpoints of the codebook lie below x * (1 / BnbScale), and is decoded with `scale`.
void BnbRoundTrip(BnbType type, float scale, std::span<float> block);

// The scales of all blocks of a tensor as double quantization leaves them (Dettmers et al. 2023,
// section 3), in place: less their mean, they are quantized to 8 bits in blocks of 256.
void BnbRoundTripScales(std::span<float> scales);

// The 256 values of those 8 bits, ascending: of seven decimal exponents the middles of 1 to 64
// equal parts of [0.1, 1], both signs, 0 and 1 (Dettmers 2016, section 2.2).
const std::array<float, 256>& BnbScaleMap();

// Weights [first, first + out.size()) of a tensor: `codes` begins with the byte of weight `first`
// (whose high nibble has the even one), scales[i] is the scale of block first / block_size + i.
void BnbDecode(const BnbCodebook& codebook, std::span<const std::byte> codes,
               std::span<const float> scales, int64_t block_size, int64_t first,
               std::span<float> out);

}  // namespace quern
