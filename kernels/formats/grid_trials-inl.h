// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_GRID_TRIALS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_GRID_TRIALS_INL_H_
#undef QUERN_KERNELS_FORMATS_GRID_TRIALS_INL_H_
#else
#define QUERN_KERNELS_FORMATS_GRID_TRIALS_INL_H_
#endif

#include <bit>
#include <utility>

#include "kernels/formats/grid_search-inl.h"
#include "kernels/formats/rounding-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// The points of a grid nearest to one group of weights, for all trial scales at once: here a lane
// of a register is a trial, not a block. Rounding gives neighbouring trials mostly the same point,
// so a group comes by few lists of candidates (five in 31 trials, of some ten points each), and a
// candidate is looked at for all trials of its list together. The terms of a distance are added in
// the order of the positions and the first of the nearest is taken, as the scalar walk does.
template <class L, int kPositions, int kTrials>
class TrialSearch {
  using F = typename L::F;
  using I = typename L::I;
  static constexpr int kBits = kPositions == 8 ? 2 : 3;
  static constexpr int kLevels = kPositions == 8 ? 3 : 8;
  static constexpr int kTop = kLevels - 1;
  static constexpr int kLevelsStored = 1 << kBits;
  static constexpr int kRegisters = (kTrials + L::kMax - 1) / L::kMax;

 public:
  // Trials, and then the last of them over and over.
  static constexpr int kSize = kRegisters * L::kMax;
  static_assert(kSize <= 32);
  static constexpr int kStride = static_cast<int>(std::bit_ceil(size_t{kSize}));
  // Set in a code that stands on the grid itself.
  static constexpr int32_t kOnGrid = 1 << 16;

  // Trial t tells the scale widest / wanted[t].
  QUERN_LANE TrialSearch(const GridView& table, const float* wanted)
      : table_(table), wanted_(wanted) {}

  QUERN_LANE void SetScales(float widest) {
    for (int r = 0; r < kRegisters; ++r) {
      const F inverse = L::Load(wanted_ + r * L::kMax) / L::Set(widest);
      const F scale = L::Set(1) / inverse;
      inverse_.Set(r, inverse);
      for (int level = 0; level < kLevels; ++level) {
        scaled_.Set(level * kRegisters + r, scale * L::Set(static_cast<float>(2 * level + 1)));
      }
    }
  }

  // codes[kSize]: the code of each trial's point, with kOnGrid. x and the roots of the weights:
  // kPositions values.
  QUERN_LANE void Find(const float* x, const float* roots, int32_t* codes) {
    uint32_t ends = RoundAll(x);
    bool filled = false;
    for (int first = 0; ends != 0; ends &= ends - 1) {
      const int last = std::countr_zero(ends);
      const int32_t number = numbers_[last];
      const GridTable::Choice choice = table_.choices[static_cast<size_t>(number)];
      if (!choice.on_grid() && !filled) {
        FillTerms(x, roots);
        filled = true;
      }
      for (int r = first / L::kMax; r <= last / L::kMax; ++r) {
        const I code = choice.on_grid() ? L::SetI(static_cast<int32_t>(choice.first) | kOnGrid)
                                        : Nearest(r, choice);
        const auto here = L::Equal(L::LoadI(numbers_ + r * L::kMax), L::SetI(number));
        L::StoreI(L::Select(here, code, L::LoadI(codes + r * L::kMax)), codes + r * L::kMax);
      }
      first = last + 1;
    }
  }

 private:
  // The number of the combination that each trial rounds to. Returns a bit for each trial that the
  // next one does not equal.
  HWY_INLINE uint32_t RoundAll(const float* x) {
    for (int r = 0; r < kRegisters; ++r) {
      I number = L::SetI(0);
      for (int p = kPositions - 1; p >= 0; --p) {
        const F wanted = inverse_[r] * L::Set(x[p]) - L::Set(1);
        const I level = Clamp<L>(NearestInt<L>(L::Set(0.5f) * wanted), 0, kTop);
        number = number * L::SetI(kTop + 1) + level;
      }
      L::StoreI(number, numbers_ + r * L::kMax);
    }
    numbers_[kSize] = -1;
    uint32_t same = 0;
    for (int r = 0; r < kRegisters; ++r) {
      const int32_t* here = numbers_ + r * L::kMax;
      same |= L::MaskBits(L::Equal(L::LoadI(here), L::LoadNearI(here + 1))) << (r * L::kMax);
    }
    constexpr uint32_t kAll = static_cast<uint32_t>((uint64_t{1} << kSize) - 1);
    return ~same & kAll;
  }

  // The square that each level of each position adds to a distance.
  HWY_INLINE void FillTerms(const float* x, const float* roots) {
    for (int p = 0; p < kPositions; ++p) {
      const F position = L::Set(x[p]), root = L::Set(roots[p]);
      for (int k = 0; k < kLevels * kRegisters; ++k) {
        const F difference = scaled_[k] - position;
        const int at = (p * kLevelsStored + k / kRegisters) * kStride + k % kRegisters * L::kMax;
        L::Store((root * difference) * difference, terms_ + at);
      }
    }
  }

  // Four points at a time: a run is filled up with its first, which changes nothing.
  HWY_INLINE I Nearest(int r, const GridTable::Choice& choice) const {
    static_assert(GridTable::kRun % 4 == 0);
    const uint16_t* points = table_.codes + choice.first;
    const auto count = static_cast<int>(choice.count);
    const float* terms = terms_ + r * L::kMax;
    F least = L::Set(kFarthest);
    I nearest = L::SetI(points[0]);
    const auto offer = [&](size_t code) HWY_ATTR {
      const F distance = Distance(terms, code, std::make_index_sequence<kPositions>());
      const auto nearer = distance < least;
      least = L::Min(distance, least);
      nearest = L::Select(nearer, L::SetI(static_cast<int32_t>(code)), nearest);
    };
    for (int n = 0; n < count; n += 4) {
      offer(points[n]);
      offer(points[n + 1]);
      offer(points[n + 2]);
      offer(points[n + 3]);
    }
    return nearest;
  }
  template <size_t... kPlaces>
  static HWY_INLINE F Distance(const float* terms, size_t code, std::index_sequence<kPlaces...>) {
    F sum = L::Load(terms + Offset<0>(code));
    ((sum = kPlaces > 0 ? sum + L::Load(terms + Offset<kPlaces>(code)) : sum), ...);
    return sum;
  }
  // Of the level at a position, in floats: a shift and a mask.
  template <size_t kPlace>
  static HWY_INLINE size_t Offset(size_t code) {
    constexpr size_t kFirst = kPlace * kLevelsStored * kStride;
    constexpr int kShift = std::countr_zero(size_t{kStride}) - kBits * static_cast<int>(kPlace);
    constexpr size_t kLevelMask = size_t{kLevelsStored - 1} * kStride;
    if constexpr (kShift >= 0) {
      return kFirst + ((code << kShift) & kLevelMask);
    } else {
      return kFirst + ((code >> -kShift) & kLevelMask);
    }
  }

  GridView table_;
  const float* wanted_;
  Floats<L, kRegisters> inverse_;
  Floats<L, kLevels * kRegisters> scaled_;                         // [level][trial]
  alignas(64) float terms_[kPositions * kLevelsStored * kStride];  // [position][level][trial]
  alignas(64) int32_t numbers_[kSize + L::kMax];
};

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
