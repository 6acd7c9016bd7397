#include "convert/bnb_codec.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "base/named_enum.h"

namespace quern {
namespace {

constexpr std::string_view kNames[] = {
#define QUERN_BNB_NAME(name, text) text,
    QUERN_BNB_TYPES(QUERN_BNB_NAME)
#undef QUERN_BNB_NAME
};

constexpr BnbCodebook kNf4 = {
    -1.0f,
    -0.6961928009986877f,
    -0.5250730514526367f,
    -0.39491748809814453f,
    -0.28444138169288635f,
    -0.18477343022823334f,
    -0.09105003625154495f,
    0.0f,
    0.07958029955625534f,
    0.16093020141124725f,
    0.24611230194568634f,
    0.33791524171829224f,
    0.44070982933044434f,
    0.5626170039176941f,
    0.7229568362236023f,
    1.0f,
};
constexpr float kTwelfth = 12;
constexpr BnbCodebook kFp4 = {
    0,
    0.0625f / kTwelfth,
    8 / kTwelfth,
    12 / kTwelfth,
    4 / kTwelfth,
    6 / kTwelfth,
    2 / kTwelfth,
    3 / kTwelfth,
    0,
    -0.0625f / kTwelfth,
    -8 / kTwelfth,
    -12 / kTwelfth,
    -4 / kTwelfth,
    -6 / kTwelfth,
    -2 / kTwelfth,
    -3 / kTwelfth,
};

// A codebook in ascending order, and the points half way between neighbours.
struct Ladder {
  std::array<float, 16> values;
  std::array<float, 15> midpoints;

  explicit Ladder(BnbCodebook codebook) : values(codebook) {
    std::stable_sort(values.begin(), values.end());
    for (size_t i = 0; i < midpoints.size(); ++i) {
      midpoints[i] = static_cast<float>((static_cast<double>(values[i]) + values[i + 1]) / 2);
    }
  }

  // NaN, which a block of zeros gives, lies above no midpoint.
  float Nearest(float x) const {
    const auto below =
        std::count_if(midpoints.begin(), midpoints.end(), [x](float m) { return m < x; });
    return values[static_cast<size_t>(below)];
  }
};

const Ladder& LadderOf(BnbType type) {
  static const Ladder nf4(kNf4), fp4(kFp4);
  return type == BnbType::kNf4 ? nf4 : fp4;
}

}  // namespace

std::string_view NameOf(BnbType type) { return kNames[static_cast<size_t>(type)]; }

std::optional<BnbType> BnbTypeFromName(std::string_view name) {
  return NamedEnum<BnbType>(kNames, name);
}

const BnbCodebook& CodebookOf(BnbType type) { return type == BnbType::kNf4 ? kNf4 : kFp4; }

void BnbRoundTrip(BnbType type, std::span<float> block) {
  const Ladder& ladder = LadderOf(type);
  float largest = 0;
  for (const float weight : block) largest = std::max(largest, std::fabs(weight));
  const float inverse = 1.0f / largest;
  for (float& weight : block) weight = ladder.Nearest(weight * inverse) * largest;
}

void BnbDecode(const BnbCodebook& codebook, std::span<const std::byte> codes,
               std::span<const float> scales, int64_t block_size, int64_t first,
               std::span<float> out) {
  const int64_t count = static_cast<int64_t>(out.size());
  const int64_t first_block = first / block_size, first_byte = first / 2;
  BnbCodebook scaled{};
  for (int64_t i = 0; i < count; ++i) {
    const int64_t at = first + i;
    if (i == 0 || at % block_size == 0) {
      const float scale = scales[static_cast<size_t>(at / block_size - first_block)];
      for (size_t code = 0; code < scaled.size(); ++code) scaled[code] = codebook[code] * scale;
    }
    const auto pair = static_cast<unsigned>(codes[static_cast<size_t>(at / 2 - first_byte)]);
    out[static_cast<size_t>(i)] = scaled[at % 2 == 0 ? pair >> 4 : pair & 15];
  }
}

}  // namespace quern
