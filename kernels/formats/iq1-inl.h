// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_IQ1_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_IQ1_INL_H_
#undef QUERN_KERNELS_FORMATS_IQ1_INL_H_
#else
#define QUERN_KERNELS_FORMATS_IQ1_INL_H_
#endif

#include <limits>

#include "kernels/formats/grid_search-inl.h"
#include "kernels/formats/grids.h"
#include "kernels/formats/legacy-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// What iq1_s and iq1_m share: kSub weights as scale * (trit - 1 + delta), the trits eight to a
// point of the grid. For three levels the best split of the sorted weights is found by trying all.

// What the trits stand for where the delta is added, and where it is subtracted.
HWY_INLINE const float* Iq1Levels(bool plus) {
  alignas(16) static constexpr float kPlus[4] = {-1 + kIq1Delta, kIq1Delta, 1 + kIq1Delta, 0};
  alignas(16) static constexpr float kMinus[4] = {-1 - kIq1Delta, -kIq1Delta, 1 - kIq1Delta, 0};
  return plus ? kPlus : kMinus;
}

// The weights in ascending order and where they were; of equals the earlier first, as glibc's qsort
// leaves them.
template <class L, int N>
struct Sorted {
  Floats<L, N> x;
  Ints<L, N> from;

  template <class X>
  explicit QUERN_LANE Sorted(const X& in) {
    for (int i = 0; i < N; ++i) {
      x.Set(i, in[i]);
      from.Set(i, L::SetI(i));
    }
    // Batcher's merge exchange (Knuth 5.2.2 M): the same comparisons for every lane.
    for (int p = 1; p < N; p *= 2) {
      for (int k = p; k >= 1; k /= 2) {
        for (int j = k % p; j + k < N; j += 2 * k) {
          for (int i = j; i < j + k && i + k < N; ++i) {
            if (i / (2 * p) == (i + k) / (2 * p)) Order(i, i + k);
          }
        }
      }
    }
  }

 private:
  QUERN_LANE void Order(int a, int b) {
    const typename L::F xa = x[a], xb = x[b];
    const typename L::I fa = from[a], fb = from[b];
    const auto swap = L::Or(xb < xa, L::And(xa == xb, L::Less(fb, fa)));
    x.Set(a, L::Select(swap, xb, xa));
    x.Set(b, L::Select(swap, xa, xb));
    from.Set(a, L::Select(swap, fb, fa));
    from.Set(b, L::Select(swap, fa, fb));
  }
};

// The best split so far: trits 0 for the first `low` of the sorted weights, 1 up to `high`, then 2.
template <class L>
struct BestSplit {
  typename L::F scale;
  typename L::F score;
  typename L::I low;
  typename L::I high;
  typename L::I variant;  // which deltas

  HWY_INLINE BestSplit()
      : scale(L::Set(0)),
        score(L::Set(-std::numeric_limits<float>::max())),
        low(L::SetI(-1)),
        high(L::SetI(-1)),
        variant(L::SetI(0)) {}

  // Dividing is dear and improvements are rare, so the lanes are looked at first.
  HWY_INLINE void Offer(typename L::F sum_qx, typename L::F sum_q2, int i1, int i2, int which) {
    const auto better = L::And(sum_q2 > L::Set(0), sum_qx * sum_qx > score * sum_q2);
    if (!L::Any(better)) return;
    const typename L::F fresh = sum_qx / sum_q2;
    scale = L::Select(better, fresh, scale);
    score = L::Select(better, fresh * sum_qx, score);
    low = L::Select(better, L::SetI(i1), low);
    high = L::Select(better, L::SetI(i2), high);
    variant = L::Select(better, L::SetI(which), variant);
  }
};

template <class L, int kSub>
class Iq1Fit {
  using F = typename L::F;
  using I = typename L::I;
  using M = typename L::M;

 public:
  static constexpr int kGroups = kSub / 8;

  Floats<L, kSub> weight;  // of the squares; the caller fills it first
  Ints<L, kGroups> code;   // the points found
  BestSplit<L> split;
  M found;  // else all is zero, or has no weight

  explicit QUERN_LANE Iq1Fit(const GridView& table) : table_(table) {}

  // The largest magnitude.
  template <class X>
  static QUERN_LANE F Max(const X& x) {
    F max = L::Abs(x[0]);
    for (int i = 1; i < kSub; ++i) max = L::Max(max, L::Abs(x[i]));
    return max;
  }

  // The trits of the best split; with a negative scale they are turned round, and so is the
  // variant, whose number then is `variants` - 1 minus the old one.
  QUERN_LANE void TakeSplit(const Sorted<L, kSub>& sorted, int variants) {
    found = L::Not(L::Less(split.low, L::SetI(0)));
    const M negative = split.scale < L::Set(0);
    for (int j = 0; j < kSub; ++j) {
      const I at = L::SetI(j);
      const I above = L::Select(L::Less(at, split.low), L::SetI(0), L::SetI(1)) +
                      L::Select(L::Less(at, split.high), L::SetI(0), L::SetI(1));
      const I trit = L::Select(negative, L::SetI(2) - above, above);
      alignas(64) int32_t trits[L::kMax];
      L::StoreI(trit, trits);
      for (int lane = 0; lane < L::kMax; ++lane) {
        trit_.values[sorted.from.values[j * L::kMax + lane] * L::kMax + lane] = trits[lane];
      }
    }
    split.scale = L::Select(negative, L::Neg(split.scale), split.scale);
    split.variant = L::Select(negative, L::SetI(variants - 1) - split.variant, split.variant);
  }

  // Points for the trits. plus[g] tells whether group g's delta is added. Where the grid lacked a
  // point, the scale is fitted to those that were taken.
  template <class X>
  QUERN_LANE void Snap(const X& x, const M* plus) {
    Floats<L, 4 * kGroups> levels;  // [group][trit]
    for (int g = 0; g < kGroups; ++g) {
      I number = L::SetI(0);
      for (int p = 7; p >= 0; --p) number = number * L::SetI(3) + trit_[8 * g + p];
      code.Set(g, number);
      for (int t = 0; t < 4; ++t) {
        levels.Set(4 * g + t,
                   L::Select(plus[g], L::Set(Iq1Levels(true)[t]), L::Set(Iq1Levels(false)[t])));
      }
    }
    const M all_on_grid = FindPoints(x, plus);
    F sum_qx = L::Set(0), sum_q2 = L::Set(0);
    AddSums(x, levels, sum_qx, sum_q2);
    const M fits = L::And(sum_qx > L::Set(0), sum_q2 > L::Set(0));
    split.scale = L::Select(L::And(fits, L::Not(all_on_grid)), sum_qx / sum_q2, split.scale);
  }

  QUERN_LANE I Index(int g) const { return L::Lookup(table_.index, code[g]); }

 private:
  template <class X>
  QUERN_LANE M FindPoints(const X& x, const M* plus) {
    alignas(64) int32_t plus_by_lane[kGroups * L::kMax];
    for (int g = 0; g < kGroups; ++g) {
      L::StoreI(L::Select(plus[g], L::SetI(1), L::SetI(0)), plus_by_lane + g * L::kMax);
    }
    alignas(64) float scales[L::kMax];
    L::Store(split.scale, scales);
    alignas(64) int32_t on_grid[L::kMax];
    L::StoreI(L::SetI(1), on_grid);
    for (int at = 0; at < kGroups * L::kMax; ++at) {
      const GridTable::Choice choice = table_.choices[static_cast<size_t>(code.values[at])];
      if (choice.on_grid()) {
        code.values[at] = static_cast<int32_t>(choice.first);
        continue;
      }
      const int lane = at % L::kMax;
      alignas(16) float xs[8], weights[8];
      for (int p = 0; p < 8; ++p) {
        const int i = at / L::kMax * 8 + p;
        xs[p] = x.At(i, lane);
        weights[p] = weight.values[i * L::kMax + lane];
      }
      const TermInput in{xs, weights, Iq1Levels(plus_by_lane[at]), scales[lane]};
      code.values[at] = NearestOf<L, 8>::Find(in, table_.codes + choice.first, choice);
      on_grid[lane] = 0;
    }
    return L::Equal(L::LoadI(on_grid), L::SetI(1));
  }

  // Adds, for each weight in turn, w * q * x and w * q * q to the sums, where q is the trit's
  // level. levels: [group][trit].
  template <class X>
  QUERN_LANE void AddSums(const X& x, const Floats<L, 4 * kGroups>& levels, F& sum_qx,
                          F& sum_q2) const {
    for (int g = 0; g < kGroups; ++g) {
      I rest = code[g];
      for (int p = 0; p < 8; ++p) {
        const int i = 8 * g + p;
        const I trit = rest & L::SetI(3);
        const F q =
            L::Select(L::Equal(trit, L::SetI(0)), levels[4 * g],
                      L::Select(L::Equal(trit, L::SetI(1)), levels[4 * g + 1], levels[4 * g + 2]));
        const F wq = weight[i] * q;
        sum_qx = sum_qx + wq * x[i];
        sum_q2 = sum_q2 + wq * q;
        rest = L::template Shr<2>(rest);
      }
    }
  }

  GridView table_;
  Ints<L, kSub> trit_;
};

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
