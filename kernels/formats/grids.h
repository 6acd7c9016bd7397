#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "kernels/formats/grid_codes.h"
#include "kernels/lane.h"

// What the codes of the IQ and FP4 types stand for.

namespace quern {

// The points of a grid with the weight of each position in a byte of its own, the first lowest:
// eight bytes for the 2- and 1-bit types, four for the 3-bit types.
template <typename Word, size_t N, size_t kLevels>
constexpr std::array<Word, N> GridWeights(const std::array<uint16_t, N>& codes,
                                          const std::array<uint8_t, kLevels>& weights) {
  constexpr int kBits = sizeof(Word) == 8 ? 2 : 3;
  std::array<Word, N> points{};
  for (size_t n = 0; n < N; ++n) {
    for (size_t i = 0; i < sizeof(Word); ++i) {
      const unsigned level = (codes[n] >> (kBits * i)) & ((1u << kBits) - 1);
      points[n] |= static_cast<Word>(weights[level]) << (8 * i);
    }
  }
  return points;
}

inline constexpr std::array<uint8_t, 3> kIq2Weights = {8, 25, 43};
inline constexpr std::array<uint8_t, 3> kIq1Weights = {0xff, 0, 1};  // int8: -1, 0, 1
inline constexpr std::array<uint8_t, 8> kIq3XxsWeights = {4, 12, 20, 28, 36, 44, 52, 62};
inline constexpr std::array<uint8_t, 8> kIq3SWeights = {1, 3, 5, 7, 9, 11, 13, 15};

// Entry `index` of a table. It stands in a function, where a CUDA thread finds it too.
#define QUERN_TABLE(Entry, ...)                       \
  QUERN_LANE inline auto Entry(size_t index) {        \
    static constexpr std::array kTable = __VA_ARGS__; \
    return kTable[index];                             \
  }

QUERN_TABLE(Iq2XxsPoint, GridWeights<uint64_t>(kIq2XxsCodes, kIq2Weights))
QUERN_TABLE(Iq2XsPoint, GridWeights<uint64_t>(kIq2XsCodes, kIq2Weights))
QUERN_TABLE(Iq2SPoint, GridWeights<uint64_t>(kIq2SCodes, kIq2Weights))
QUERN_TABLE(Iq1Point, GridWeights<uint64_t>(kIq1Codes, kIq1Weights))
QUERN_TABLE(Iq3XxsPoint, GridWeights<uint32_t>(kIq3XxsCodes, kIq3XxsWeights))
QUERN_TABLE(Iq3SPoint, GridWeights<uint32_t>(kIq3SCodes, kIq3SWeights))

// What iq1_s and iq1_m add to each weight of a group, or subtract.
inline constexpr float kIq1Delta = 0.125f;

constexpr std::array<uint8_t, 128> EvenSignsTable() {
  std::array<uint8_t, 128> signs{};
  for (unsigned i = 0; i < 128; ++i) {
    unsigned parity = i ^ i >> 4;
    parity ^= parity >> 2;
    parity ^= parity >> 1;
    signs[i] = static_cast<uint8_t>(i | (parity & 1) << 7);
  }
  return signs;
}
// Eight signs as seven bits: the number of minus signs is even, so the eighth bit follows.
QUERN_TABLE(EvenSigns, EvenSignsTable())

// The sixteen weights of iq4_nl and iq4_xs, and those of the 4-bit floats (E2M1), doubled.
inline constexpr std::array<int8_t, 16> kIq4Weights = {-127, -104, -83, -65, -49, -35, -22, -10,
                                                       1,    13,   25,  38,  53,  69,  89,  113};
inline constexpr std::array<int8_t, 16> kFp4Weights = {0, 1,  2,  3,  4,  6,  8,  12,
                                                       0, -1, -2, -3, -4, -6, -8, -12};
QUERN_TABLE(Iq4Number, kIq4Weights)
QUERN_TABLE(Fp4Number, kFp4Weights)

#undef QUERN_TABLE

}  // namespace quern
