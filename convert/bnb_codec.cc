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
template <size_t kCount>
struct Ladder {
  std::array<float, kCount> values;
  std::array<float, kCount - 1> midpoints;

  explicit Ladder(const std::array<float, kCount>& codebook) : values(codebook) {
    std::stable_sort(values.begin(), values.end());
    for (size_t i = 0; i < midpoints.size(); ++i) {
      midpoints[i] = static_cast<float>((static_cast<double>(values[i]) + values[i + 1]) / 2);
    }
  }

  // NaN, which a block of zeros gives, lies above no midpoint.
  float Nearest(float x) const {
    const auto* const below =
        std::partition_point(midpoints.begin(), midpoints.end(), [x](float m) { return m < x; });
    return values[static_cast<size_t>(below - midpoints.begin())];
  }
};

const Ladder<16>& LadderOf(BnbType type) {
  static const Ladder<16> nf4(kNf4), fp4(kFp4);
  return type == BnbType::kNf4 ? nf4 : fp4;
}

std::array<float, 256> MakeScaleMap() {
  constexpr int kExponents = 7;
  std::array<float, 256> map{};  // one of them stays 0
  size_t at = 0;
  for (int exponent = 0; exponent < kExponents; ++exponent) {
    const int parts = 1 << exponent;
    const float step = (1.0f - 0.1f) / static_cast<float>(parts);
    // From the nearer end and rounded once, as torch.linspace does.
    const auto bound = [&](int i) {
      return i < (parts + 1) / 2 ? std::fma(step, static_cast<float>(i), 0.1f)
                                 : std::fma(-step, static_cast<float>(parts - i), 1.0f);
    };
    const auto unit = static_cast<float>(std::pow(10.0, exponent - (kExponents - 1)));
    for (int i = 0; i < parts; ++i) {
      const float middle = unit * ((bound(i) + bound(i + 1)) / 2);
      map[at++] = middle;
      map[at++] = -middle;
    }
  }
  map[at] = 1;
  std::sort(map.begin(), map.end());
  return map;
}

}  // namespace

std::string_view NameOf(BnbType type) { return kNames[static_cast<size_t>(type)]; }

std::optional<BnbType> BnbTypeFromName(std::string_view name) {
  return NamedEnum<BnbType>(kNames, name);
}

const BnbCodebook& CodebookOf(BnbType type) { return type == BnbType::kNf4 ? kNf4 : kFp4; }

const std::array<float, 256>& BnbScaleMap() {
  static const std::array<float, 256> map = MakeScaleMap();
  return map;
}

float BnbScale(std::span<const float> block) {
  float largest = 0;
  for (const float weight : block) largest = std::max(largest, std::fabs(weight));
  return largest;
}

void BnbRoundTrip(BnbType type, float scale, std::span<float> block) {
  const Ladder<16>& ladder = LadderOf(type);
  const float inverse = 1.0f / BnbScale(block);
  for (float& weight : block) weight = ladder.Nearest(weight * inverse) * scale;
}

void BnbRoundTripScales(std::span<float> scales) {
  static const Ladder<256> ladder(BnbScaleMap());
  double sum = 0;
  for (const float scale : scales) sum += scale;
  const auto mean = static_cast<float>(sum / static_cast<double>(scales.size()));
  for (float& scale : scales) scale -= mean;
  for (size_t first = 0; first < scales.size(); first += kBnbNestedBlock) {
    const auto block = scales.subspan(first, std::min(kBnbNestedBlock, scales.size() - first));
    const float largest = BnbScale(block), inverse = 1.0f / largest;
    for (float& scale : block) scale = ladder.Nearest(scale * inverse) * largest + mean;
  }
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
