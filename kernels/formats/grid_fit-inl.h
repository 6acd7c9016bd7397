// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_GRID_FIT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_GRID_FIT_INL_H_
#undef QUERN_KERNELS_FORMATS_GRID_FIT_INL_H_
#else
#define QUERN_KERNELS_FORMATS_GRID_FIT_INL_H_
#endif

#include <type_traits>

#include "kernels/formats/grid_search-inl.h"
#include "kernels/formats/grid_trials-inl.h"
#include "kernels/formats/legacy-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// What iq2_xxs, iq2_xs, iq2_s, iq3_xxs and iq3_s share: a sub-block of kSub weights is a scale,
// signs, and points of a grid in kPositions dimensions each, x ~ scale * (2 * level + 1) * sign.

// Which groups get a new point once the scale is found.
enum class Refit { kOffGrid, kAllIfAnyOffGrid, kAll };

// How the points of the trials are found: those of one list of candidates together, or, where lists
// are long (60 points for iq2_xs, 10 for iq3_s), trial by trial with the candidates in the lanes.
enum class Lists { kShort, kLong };

// The trial scales of a search are widest_value / (kWidest + step * t) for t from -kCount to
// kCount, where kWidest is what the highest level stands for.
template <class L, int kPositions, int kSub, int kCount, Lists kLists>
class GridFit {
  using F = typename L::F;
  using I = typename L::I;
  using M = typename L::M;
  static constexpr int kBits = kPositions == 8 ? 2 : 3;
  static constexpr int kTop = kPositions == 8 ? 2 : 7;
  static constexpr int kBase = kTop + 1;
  static constexpr int kWidest = 2 * kTop + 1;
  static constexpr int kTrials = 2 * kCount + 1;
  using Trials = TrialSearch<L, kPositions, kTrials>;
  // A CUDA thread has no room for the trials of all groups.
  static constexpr bool kTogether = kLists == Lists::kShort && !requires { L::kIsThread; };
  struct NoTrials {
    HWY_INLINE NoTrials(const GridView&, const float*) {}
  };

 public:
  static constexpr int kGroups = kSub / kPositions;
  static constexpr int kSigns = kSub / 8;

  QUERN_LANE GridFit(const GridView& table, float step) : table_(table), trials_(table, wanted_) {
    for (int t = 0; t < Trials::kSize; ++t) {
      const int trial = t < kTrials ? t - kCount : kCount;
      wanted_[t] = static_cast<float>(kWidest) + static_cast<float>(trial) * step;
    }
  }

  Floats<L, kSub> weight;     // of the squares; the caller fills it before Load
  Floats<L, kSub> magnitude;  // abs(x), but minus that of the one whose sign was changed
  Ints<L, kSigns> signs;      // bit i of signs[k]: weight 8 * k + i is negative
  Ints<L, kGroups> code;      // the points found
  F scale;
  F max;

  // With `even` the signs of each eight are made even in number: the weight whose square counts
  // least gets the wrong sign, the first of them.
  template <class X>
  QUERN_LANE void Load(const X& x, bool even) {
    for (int k = 0; k < kSigns; ++k) LoadSigns(x, 8 * k, even);
    max = magnitude[0];
    for (int i = 1; i < kSub; ++i) max = L::Max(max, magnitude[i]);
    for (int i = 0; i < kSub; ++i) {
      weighted_.Set(i, weight[i] * magnitude[i]);
      root_.Set(i, L::Sqrt(weight[i]));
    }
    // The searches for points want the values of one block next to each other.
    for (int i = 0; i < kSub; ++i) {
      const size_t to = static_cast<size_t>(i / kPositions * L::kMax * kPositions + i % kPositions);
      for (int lane = 0; lane < L::kMax; ++lane) {
        magnitude_by_lane_[to + lane * kPositions] = magnitude.values[i * L::kMax + lane];
        root_by_lane_[to + lane * kPositions] = root_.values[i * L::kMax + lane];
      }
    }
  }

  // Tries the scales that map `widest_value` to about the highest level. `scale` is what it stays
  // if no trial is taken, and the points are then the first of the grid.
  QUERN_LANE void Search(F widest_value, bool starts_on_grid) {
    if constexpr (kTogether) FindTrialPoints(widest_value);
    F best = L::Set(0);
    for (int g = 0; g < kGroups; ++g) code.Set(g, L::SetI(starts_on_grid ? Trials::kOnGrid : 0));
    Ints<L, kGroups> trial_code;
    for (int t = 0; t < kTrials; ++t) {
      if constexpr (kTogether) {
        for (int g = 0; g < kGroups; ++g) {
          const int32_t* of_group = trial_codes_ + g * L::kMax * Trials::kSize;
          trial_code.Set(g, L::LookupStrided(of_group + t, Trials::kSize));
        }
      } else {
        const F inverse = L::Set(wanted_[t]) / widest_value;
        Snap(inverse, L::Set(1) / inverse, trial_code);
      }
      F sum_qx, sum_q2;
      Sums(trial_code, sum_qx, sum_q2);
      const M better = L::And(sum_q2 > L::Set(0), sum_qx * sum_qx > best * sum_q2);
      if (!L::Any(better)) continue;
      scale = L::Select(better, sum_qx / sum_q2, scale);
      best = L::Select(better, scale * sum_qx, best);
      for (int g = 0; g < kGroups; ++g) code.Set(g, L::Select(better, trial_code[g], code[g]));
    }
    for (int g = 0; g < kGroups; ++g) on_grid_.Set(g, L::template Shr<16>(code[g]));
    DropOnGrid(code);
  }

  // New points for the scale that was found, and the scale that fits these best.
  QUERN_LANE void Refine(Refit which) {
    I all_on_grid = L::SetI(1);
    for (int g = 0; g < kGroups; ++g) all_on_grid = all_on_grid & on_grid_[g];
    M wanted = scale > L::Set(0);
    if (which != Refit::kAll) wanted = L::And(wanted, L::Equal(all_on_grid, L::SetI(0)));
    if (!L::Any(wanted)) return;
    Ints<L, kGroups> fresh;
    Snap(L::Set(1) / scale, scale, fresh);
    DropOnGrid(fresh);
    for (int g = 0; g < kGroups; ++g) {
      M renewed = wanted;
      if (which == Refit::kOffGrid) renewed = L::And(renewed, L::Equal(on_grid_[g], L::SetI(0)));
      code.Set(g, L::Select(renewed, fresh[g], code[g]));
    }
    F sum_qx, sum_q2;
    Sums(code, sum_qx, sum_q2);
    scale = L::Select(L::And(wanted, sum_q2 > L::Set(0)), sum_qx / sum_q2, scale);
  }

  // A negative scale becomes positive with all signs turned.
  QUERN_LANE void MakePositive() {
    const M negative = scale < L::Set(0);
    scale = L::Select(negative, L::Neg(scale), scale);
    for (int k = 0; k < kSigns; ++k) {
      signs.Set(k, L::Select(negative, signs[k] ^ L::SetI(0xff), signs[k]));
    }
  }

  // The index of group g's point, 0 where `skipped`.
  QUERN_LANE I Index(int g, M skipped) const {
    return L::Select(skipped, L::SetI(0), L::Lookup(table_.index, code[g]));
  }

 private:
  template <class X>
  QUERN_LANE void LoadSigns(const X& x, int first, bool even) {
    I minus = L::SetI(0);
    I count = L::SetI(0);
    I least = L::SetI(0);
    F least_square = L::Set(0);
    for (int i = 0; i < 8; ++i) {
      const F value = x[first + i];
      const M positive = value >= L::Set(0);
      magnitude.Set(first + i, L::Select(positive, value, L::Neg(value)));
      minus = minus | L::Select(positive, L::SetI(0), L::SetI(1 << i));
      count = count + L::Select(positive, L::SetI(0), L::SetI(1));
      const F square = (weight[first + i] * value) * value;
      const M smaller = square < least_square;
      if (i == 0) {
        least_square = square;
      } else {
        least = L::Select(smaller, L::SetI(i), least);
        least_square = L::Select(smaller, square, least_square);
      }
    }
    if (even) {
      const M odd = L::Equal(count & L::SetI(1), L::SetI(1));
      for (int i = 0; i < 8; ++i) {
        const M turned = L::And(odd, L::Equal(least, L::SetI(i)));
        const F value = magnitude[first + i];
        magnitude.Set(first + i, L::Select(turned, L::Neg(value), value));
        minus = L::Select(turned, minus ^ L::SetI(1 << i), minus);
      }
    }
    signs.Set(first / 8, minus);
  }

  static QUERN_LANE void DropOnGrid(Ints<L, kGroups>& codes) {
    for (int g = 0; g < kGroups; ++g) codes.Set(g, codes[g] & L::SetI(0xffff));
  }

  // trial_codes_ for all groups of all lanes.
  QUERN_LANE void FindTrialPoints(F widest_value) {
    alignas(64) float widest[L::kMax];
    L::Store(widest_value, widest);
    for (int lane = 0; lane < L::kMax; ++lane) {
      trials_.SetScales(widest[lane]);
      for (int g = 0; g < kGroups; ++g) {
        const int at = g * L::kMax + lane;
        trials_.Find(magnitude_by_lane_ + at * kPositions, root_by_lane_ + at * kPositions,
                     trial_codes_ + at * Trials::kSize);
      }
    }
  }

  // The points for one scale: by rounding, with kOnGrid, or where the grid lacks that the nearest.
  QUERN_LANE void Snap(F inverse, F trial_scale, Ints<L, kGroups>& codes) {
    alignas(64) static constexpr float kLevels[8] = {1, 3, 5, 7, 9, 11, 13, 15};
    for (int g = 0; g < kGroups; ++g) {
      I number = L::SetI(0);
      for (int p = kPositions - 1; p >= 0; --p) {
        const F x = magnitude[g * kPositions + p];
        const I level = Clamp<L>(NearestInt<L>(L::Set(0.5f) * (inverse * x - L::Set(1))), 0, kTop);
        number = number * L::SetI(kBase) + level;
      }
      codes.Set(g, number);
    }
    alignas(64) float scales[L::kMax];
    L::Store(trial_scale, scales);
    for (int at = 0; at < kGroups * L::kMax; ++at) {
      const GridTable::Choice choice = table_.choices[static_cast<size_t>(codes.values[at])];
      if (choice.on_grid()) {
        codes.values[at] = static_cast<int32_t>(choice.first) | Trials::kOnGrid;
      } else {
        const TermInput in{magnitude_by_lane_ + at * kPositions, root_by_lane_ + at * kPositions,
                           kLevels, scales[at % L::kMax]};
        codes.values[at] = NearestOf<L, kPositions>::Find(in, table_.codes + choice.first, choice);
      }
    }
  }

  QUERN_LANE void Sums(const Ints<L, kGroups>& codes, F& sum_qx, F& sum_q2) const {
    sum_qx = L::Set(0);
    sum_q2 = L::Set(0);
    for (int g = 0; g < kGroups; ++g) {
      I rest = codes[g];
      for (int p = 0; p < kPositions; ++p) {
        const int i = g * kPositions + p;
        const F q = L::template Odd<kBits>(rest);
        sum_qx = sum_qx + weighted_[i] * q;
        sum_q2 = sum_q2 + (weight[i] * q) * q;
        rest = L::template Shr<kBits>(rest);
      }
    }
  }

  GridView table_;
  std::conditional_t<kTogether, Trials, NoTrials> trials_;
  alignas(64) float wanted_[Trials::kSize];
  // [group][lane][trial]
  alignas(64) int32_t trial_codes_[kTogether ? kGroups * L::kMax * Trials::kSize : 1];
  Floats<L, kSub> weighted_, root_;
  Ints<L, kGroups> on_grid_;
  // [group][lane][position]
  alignas(64) float magnitude_by_lane_[kSub * L::kMax];
  alignas(64) float root_by_lane_[kSub * L::kMax];
};

// Scales of `count` sub-blocks as levels of four bits: scale ~ d * (2 * level + 1), where d maps
// the largest to 31. `none` is set where all are 0.
template <class L, int kCount>
struct GridScales {
  typename L::F d;
  typename L::M none;
  Ints<L, kCount> level;
};
template <class L, int kCount>
inline QUERN_LANE void RoundGridScales(const Floats<L, kCount>& scale, int divisor, int top,
                                       GridScales<L, kCount>& rounded) {
  typename L::F max = L::Set(0);
  for (int j = 0; j < kCount; ++j) max = L::Max(max, scale[j]);
  rounded.none = max == L::Set(0);
  rounded.d = max / L::Set(static_cast<float>(divisor));
  const typename L::F inverse = L::Set(1) / rounded.d;
  for (int j = 0; j < kCount; ++j) {
    const typename L::I level =
        Clamp<L>(NearestInt<L>(L::Set(0.5f) * (inverse * scale[j] - L::Set(1))), 0, top);
    rounded.level.Set(j, L::Select(rounded.none, L::SetI(0), level));
  }
}

// Sixteen levels of four bits in eight bytes.
template <class L>
HWY_INLINE void PackScalePairs(const Out<L>& out, int offset, const Ints<L, 16>& level) {
  for (int word = 0; word < 2; ++word) {
    typename L::I bits = L::SetI(0);
    for (int j = 7; j >= 0; --j) bits = L::template Shl<4>(bits) | level[8 * word + j];
    out.Word(offset + 4 * word, bits);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
