// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_GRID_SEARCH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_GRID_SEARCH_INL_H_
#undef QUERN_KERNELS_FORMATS_GRID_SEARCH_INL_H_
#else
#define QUERN_KERNELS_FORMATS_GRID_SEARCH_INL_H_
#endif

#include <limits>

#include "kernels/formats/grid_table.h"
#include "kernels/formats/pack-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// The nearest of a grid's points. Here a lane of the register is a point of the list, not a block:
// the terms of a point's distance are added in the order of the positions inside its lane, and of
// the nearest the first in the list is taken, so the outcome is that of the scalar walk.

// A distance counts below this; where none does (weights near the end of float32), the first is
// taken.
inline constexpr float kFarthest = std::numeric_limits<float>::max();

// What the squares depend on that a position adds to the distance, for each of its levels.
struct TermInput {
  const float* x;        // kPositions values
  const float* weights;  // of the squares
  const float* levels;   // what the levels stand for, in 4 or 8 floats
  float scale;           // a level is scale * levels[l]
};

template <int kPositions>
inline QUERN_LANE uint16_t NearestPointScalar(const TermInput& in, const uint16_t* codes,
                                              int count) {
  constexpr int kBits = kPositions == 8 ? 2 : 3;
  constexpr int kLevels = 1 << kBits;
  float terms[kPositions * kLevels];
  for (int p = 0; p < kPositions; ++p) {
    for (int l = 0; l < kLevels; ++l) {
      const float difference = in.scale * in.levels[l] - in.x[p];
      terms[p * kLevels + l] = in.weights[p] * difference * difference;
    }
  }
  float best = kFarthest;
  int nearest = 0;
  for (int n = 0; n < count; ++n) {
    float distance = terms[codes[n] & (kLevels - 1)];
    for (int p = 1; p < kPositions; ++p) {
      distance += terms[p * kLevels + ((codes[n] >> (kBits * p)) & (kLevels - 1))];
    }
    if (distance < best) {
      best = distance;
      nearest = n;
    }
  }
  return codes[nearest];
}

#if HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128
// The same for registers of 8 or 16 floats.
template <class L, int kPositions>
class PointSearch {
  using D = typename L::D;
  using DI = typename L::DI;
  using F = typename L::F;
  using I = typename L::I;
  static constexpr int kBits = kPositions == 8 ? 2 : 3;
  static constexpr int kLevels = 1 << kBits;
  static constexpr int kTerms = kPositions * kLevels;  // 32
  static constexpr int kRegisters = GridTable::kRun / L::kMax;

 public:
  static HWY_INLINE uint16_t Nearest(const TermInput& in, const uint16_t* codes, int runs) {
    alignas(64) float terms[kTerms];
    FillTerms(in, terms);
    F tables[kPositions];
    for (int p = 0; p < kPositions; ++p) tables[p] = Repeat(terms + p * kLevels);
    alignas(64) float distances[GridTable::kRun * GridTable::kMaxRuns];
    const int registers = runs * kRegisters;
    F nearest = L::Set(kFarthest);
    for (int r = 0; r < registers; ++r) {
      const F d = Distances(tables, codes + r * L::kMax);
      L::Store(d, distances + r * L::kMax);
      nearest = L::Min(d, nearest);
    }
    const F least = hn::MinOfLanes(D(), nearest);
    for (int r = 0; r < registers; ++r) {
      const intptr_t first = hn::FindFirstTrue(D(), L::Load(distances + r * L::kMax) == least);
      if (first >= 0) return codes[r * L::kMax + first];
    }
    return codes[0];
  }

 private:
  // The levels of one position over and over, so that the bits above a level don't matter.
  static HWY_INLINE F Repeat(const float* levels) {
    if constexpr (kLevels == 4) {
      return hn::LoadDup128(D(), levels);
    } else if constexpr (L::kMax == 8) {
      return hn::LoadU(D(), levels);
    } else {
      const hn::Half<D> half;
      return hn::Combine(D(), hn::LoadU(half, levels), hn::LoadU(half, levels));
    }
  }

  static HWY_INLINE void FillTerms(const TermInput& in, float* terms) {
    // Of four positions in a row, the one that a term belongs to.
    alignas(64) static constexpr int32_t kFourLevels[16] = {0, 0, 0, 0, 1, 1, 1, 1,
                                                            2, 2, 2, 2, 3, 3, 3, 3};
    alignas(64) static constexpr int32_t kEightLevels[32] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1,
                                                             1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2,
                                                             2, 2, 3, 3, 3, 3, 3, 3, 3, 3};
    const F scaled = L::Set(in.scale) * Repeat(in.levels);
    for (int t = 0; t < kTerms; t += L::kMax) {
      const int four = t / kLevels / 4 * 4;
      const int32_t* of = kLevels == 4 ? kFourLevels + t % 16 : kEightLevels + t;
      const auto pick = hn::SetTableIndices(D(), of);
      const F x = hn::TableLookupLanes(hn::LoadDup128(D(), in.x + four), pick);
      const F w = hn::TableLookupLanes(hn::LoadDup128(D(), in.weights + four), pick);
      const F difference = scaled - x;
      L::Store((w * difference) * difference, terms + t);
    }
  }

  static HWY_INLINE F Distances(const F* tables, const uint16_t* codes) {
    I code = L::LoadHalves(codes);
    F sum = Lookup(tables[0], code);
    for (int p = 1; p < kPositions; ++p) {
      code = L::template Shr<kBits>(code);
      sum = sum + Lookup(tables[p], code);
    }
    return sum;
  }

  // The instruction looks at the lowest bits alone; Highway's checks in debug builds at all of
  // them.
  static HWY_INLINE F Lookup(F table, I code) {
    if constexpr (HWY_IS_DEBUG_BUILD) code = code & L::SetI(L::kMax - 1);
    return hn::TableLookupLanes(table, hn::IndicesFromVec(D(), code));
  }
};
#endif

// Of the points of a choice, which `codes` are, the nearest. A CUDA thread has a search of its own
// (kernels/cuda/point_search.cuh).
template <class L, int kPositions>
struct NearestOf {
  static HWY_INLINE uint16_t Find(const TermInput& in, const uint16_t* codes,
                                  const GridTable::Choice& choice) {
#if HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128
    if constexpr (L::kMax >= 8) {
      return PointSearch<L, kPositions>::Nearest(in, codes, choice.runs());
    }
#endif
    return NearestPointScalar<kPositions>(in, codes, static_cast<int>(choice.count));
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
