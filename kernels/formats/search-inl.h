// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_SEARCH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_SEARCH_INL_H_
#undef QUERN_KERNELS_FORMATS_SEARCH_INL_H_
#else
#define QUERN_KERNELS_FORMATS_SEARCH_INL_H_
#endif

#include "kernels/formats/rounding-inl.h"

// The scale searches that the legacy and k types share (facts: make_qx_quants, make_q3_quants,
// make_qkx2_quants, make_qkx3_quants and make_qp_quants of ggml-quants.c). All sums go left to
// right, products too: w * x * l is (w * x) * l. A trial is taken on a strict improvement only.

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// Below this a group counts as zeros.
inline constexpr float kZeroGroup = 1e-15f;

// The sum of x^2 over N weights, a multiple of 32.
template <class L, int N>
HWY_INLINE typename L::F SumOfSquares(const In<L>& x) {
  typename L::F sum = L::Set(0);
  for (int first = 0; first < N; first += 32) {
    const auto part = x.template Sub<32>(first);
    for (int i = 0; i < 32; ++i) sum = sum + part[i] * part[i];
  }
  return sum;
}

// The mean of x^2 over a super-block, times a power of two; facts: sigma2.
template <class L>
HWY_INLINE typename L::F SuperBlockMean(const In<L>& x, float factor) {
  return (L::Set(factor) * SumOfSquares<L, 256>(x)) / L::Set(256);
}

// The weights of the squares with an importance matrix: importance * sqrt(mean + x^2), where `mean`
// is made from a sum of squares that the type chooses.
template <class L, int N, class X>
HWY_INLINE void WeighSquares(const X& importance, const X& x, typename L::F mean,
                             Floats<L, N>& weights) {
  for (int i = 0; i < N; ++i) weights.Set(i, importance[i] * L::Sqrt(mean + x[i] * x[i]));
}

// The same for the weights x from `first` on, or x^2 where there is no importance matrix.
template <class L, int N, class X>
HWY_INLINE void WeighOrSquare(const Tile<L>& tile, int first, const X& x, typename L::F mean,
                              Floats<L, N>& weights) {
  if (tile.weighted) {
    WeighSquares<L, N>(tile.importance.template Sub<N>(first), x, mean, weights);
  } else {
    for (int i = 0; i < N; ++i) weights.Set(i, x[i] * x[i]);
  }
}

// The weight of the largest magnitude, the first of them, and that magnitude.
template <class L>
struct Extreme {
  typename L::F value;
  typename L::F magnitude;
};
template <class L, int N, class X>
HWY_INLINE Extreme<L> FindExtreme(const X& x) {
  Extreme<L> best{L::Set(0), L::Set(0)};
  for (int i = 0; i < N; ++i) {
    const typename L::F v = x[i];
    const typename L::F a = L::Abs(v);
    best.value = L::Select(a > best.magnitude, v, best.value);
    best.magnitude = L::Max(a, best.magnitude);
  }
  return best;
}

// x ~ scale * (level - kHalf) with levels in [0, 2 * kHalf).
template <class L>
struct SymmetricFit {
  typename L::F scale;
  typename L::F inverse;  // what the weights are multiplied by before rounding
  typename L::I offset;   // kHalf; with scale, inverse and levels 0 where all is (almost) zero
  typename L::F widest;   // the largest magnitude
};

template <class L, int kHalf>
HWY_INLINE typename L::I SymmetricLevel(typename L::F inverse, typename L::I offset,
                                        typename L::F x) {
  return Clamp<L>(NearestInt<L>(inverse * x), -kHalf, kHalf - 1) + offset;
}

// Which ends of the levels, -kHalf and kHalf - 1, the weights may pass with a trial's scale; where
// they may be no numbers at all, nothing is known.
enum class Passed { kNone, kHigh, kBoth, kUnknown };

// The sums of the levels of one trial.
template <class L>
struct LevelSums {
  typename L::F lx, l2;
};

// Of kTrials trials at once, whose sums wait for nothing but themselves.
template <class L, int N, int kHalf, Passed kPassed, int kTrials, class X, class W>
HWY_INLINE void SumLevels(const X& x, const W& w, const Floats<L, N>& wx,
                          const typename L::F (&inverse)[kTrials], LevelSums<L> (&sums)[kTrials]) {
  using F = typename L::F;
  for (int t = 0; t < kTrials; ++t) sums[t] = {L::Set(0), L::Set(0)};
  for (int i = 0; i < N; ++i) {
    for (int t = 0; t < kTrials; ++t) {
      F l = inverse[t] * x[i];
      if constexpr (kPassed == Passed::kUnknown) {
        l = Level<L>(l, -kHalf, kHalf - 1);
      } else {
        l = L::Round(l);
        if constexpr (kPassed == Passed::kBoth) l = L::AtLeast(l, -kHalf);
        if constexpr (kPassed != Passed::kNone) l = L::AtMost(l, kHalf - 1);
      }
      sums[t].lx = sums[t].lx + wx[i] * l;
      sums[t].l2 = sums[t].l2 + (w[i] * l) * l;
    }
  }
}

// Tries 19 scales round the one that maps the extreme to -kHalf; `w` are the weights of the
// squares. What is not kFinite may hold NaN and Inf.
template <class L, int N, int kHalf, bool kFinite = true, class X, class W>
inline QUERN_LANE SymmetricFit<L> FitSymmetric(const X& x, const W& w) {
  using F = typename L::F;
  const Extreme<L> extreme = FindExtreme<L, N>(x);
  Floats<L, N> wx;
  for (int i = 0; i < N; ++i) wx.Set(i, w[i] * x[i]);

  SymmetricFit<L> fit;
  fit.inverse = L::Set(-kHalf) / extreme.value;
  const F first[1] = {fit.inverse};
  LevelSums<L> first_sums[1];
  constexpr Passed kUsual = kFinite ? Passed::kHigh : Passed::kUnknown;
  SumLevels<L, N, kHalf, kUsual>(x, w, wx, first, first_sums);
  const auto [lx, l2] = first_sums[0];
  fit.scale = L::Select(l2 == L::Set(0), L::Set(0), lx / l2);
  F best = fit.scale * lx;
  const F one_over = L::Set(1) / extreme.value;
  const bool normal =
      L::All(L::And(extreme.magnitude > L::Set(1e-30f), extreme.magnitude < L::Set(1e30f)));
  // No magnitude exceeds kHalf + step / 10 before it is rounded.
  constexpr int kSteps[18] = {-9, -8, -7, -6, -5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  for (int k = 0; k < 18; k += 2) {
    F inverse[2];
    for (int t = 0; t < 2; ++t) {
      const F wanted = L::Set(-(kHalf + 0.1f * static_cast<float>(kSteps[k + t])));
      inverse[t] = normal ? L::Quotient(wanted, extreme.value, one_over) : wanted / extreme.value;
    }
    LevelSums<L> sums[2];
    if (!kFinite || (kSteps[k + 1] >= -5 && kSteps[k + 1] < 5)) {
      SumLevels<L, N, kHalf, kUsual>(x, w, wx, inverse, sums);
    } else if (kSteps[k + 1] < -5) {
      SumLevels<L, N, kHalf, Passed::kNone>(x, w, wx, inverse, sums);
    } else {
      SumLevels<L, N, kHalf, Passed::kBoth>(x, w, wx, inverse, sums);
    }
    for (int t = 0; t < 2; ++t) {
      const auto [sum_lx, sum_l2] = sums[t];
      const auto better = L::And(sum_l2 > L::Set(0), sum_lx * sum_lx > best * sum_l2);
      const F scale = sum_lx / sum_l2;
      fit.scale = L::Select(better, scale, fit.scale);
      best = L::Select(better, scale * sum_lx, best);
      fit.inverse = L::Select(better, inverse[t], fit.inverse);
    }
  }
  const auto zero = extreme.magnitude < L::Set(kZeroGroup);
  fit.scale = L::Select(zero, L::Set(0), fit.scale);
  fit.inverse = L::Select(zero, L::Set(0), fit.inverse);
  fit.offset = L::Select(zero, L::SetI(0), L::SetI(kHalf));
  fit.widest = extreme.magnitude;
  return fit;
}

// x ~ scale * level - minus, with levels in [0, kTop] and minus >= 0.
template <class L>
struct AffineFit {
  typename L::F scale;
  typename L::F minus;
  typename L::F inverse;  // levels are (x - base) * inverse, rounded; 0 where all weights are alike
  typename L::F base;
  typename L::F widest;  // the largest magnitude of a weight
};

template <class L, int kTop>
HWY_INLINE typename L::I AffineLevel(typename L::F inverse, typename L::F base, typename L::F x) {
  return Clamp<L>(NearestInt<L>(inverse * (x - base)), 0, kTop);
}

// Trial scales of FitAffine: (first + step * delta + top) / range for step in [0, steps].
struct AffineTrials {
  float first;
  float delta;
  int steps;
};

// What the trials of one sub-block go by: N weights x, the weights w of their squares (with
// kAbsolute of their magnitudes), and the levels of the trial. The three of one weight lie
// together: x and levels in arrays of their own are a multiple of 4096 bytes apart or nearly so,
// and then a load waits for the store that it seems to overlap.
template <class L, int N, int kTop, bool kAbsolute>
struct AffineSearch {
  using F = typename L::F;
  using M = typename L::M;

  Floats<L, 3 * N> rows;
  F low, high, sum_w, sum_x;

  template <class X>
  QUERN_LANE AffineSearch(const X& x, const Floats<L, N>& w) {
    F least = x[0], most = x[0];
    F total = w[0], total_x = w[0] * x[0];
    rows.Set(0, x[0]);
    rows.Set(1, w[0]);
    for (int i = 1; i < N; ++i) {
      const F xi = x[i], wi = w[i];
      rows.Set(3 * i, xi);
      rows.Set(3 * i + 1, wi);
      least = L::Min(xi, least);
      most = L::Max(xi, most);
      total = total + wi;
      total_x = total_x + wi * xi;
    }
    low = least;
    high = most;
    sum_w = total;
    sum_x = total_x;
  }

  struct Sums {
    F l, l2, xl;
  };

  // Rounds to levels and sums them up. Where inverse * (x - min) stays small for the two ends it
  // does so for all weights, for rounding is monotonic: then the short way of rounding is right.
  HWY_INLINE Sums Round(F inverse, F min) {
    const F limit = L::Set(kLevelLimit);
    const bool small = L::All(
        L::And(L::Abs(inverse * (high - min)) < limit, L::Abs(inverse * (low - min)) < limit));
    return small ? RoundBy<SmallLevel<L>>(inverse, min) : RoundBy<Level<L>>(inverse, min);
  }

  HWY_INLINE F Error(F scale, F min) const {
    F error = L::Set(0);
    for (int i = 0; i < N; ++i) {
      const F difference = (scale * rows[3 * i + 2] + min) - rows[3 * i];
      error = error + rows[3 * i + 1] * (kAbsolute ? L::Abs(difference) : difference * difference);
    }
    return error;
  }

 private:
  template <F (*kRound)(F, int, int)>
  HWY_INLINE Sums RoundBy(F inverse, F min) {
    Sums sums{L::Set(0), L::Set(0), L::Set(0)};
    for (int i = 0; i < N; ++i) {
      const F x = rows[3 * i];
      const F l = kRound(inverse * (x - min), 0, kTop);
      rows.Set(3 * i + 2, l);
      const F wl = rows[3 * i + 1] * l;
      sums.l = sums.l + wl;
      sums.l2 = sums.l2 + wl * l;
      sums.xl = sums.xl + wl * x;
    }
    return sums;
  }
};

// The least squares for the levels of one trial: x ~ scale * level + min, min <= 0.
template <class L>
struct AffineTrial {
  typename L::F scale;
  typename L::F min;
  typename L::M solvable;
};
template <class L, class Search>
HWY_INLINE AffineTrial<L> SolveAffine(const Search& search, const typename Search::Sums& sums) {
  using F = typename L::F;
  const F determinant = search.sum_w * sums.l2 - sums.l * sums.l;
  AffineTrial<L> trial;
  trial.solvable = determinant > L::Set(0);
  trial.scale = (search.sum_w * sums.xl - search.sum_x * sums.l) / determinant;
  trial.min = (sums.l2 * search.sum_x - sums.l * sums.xl) / determinant;
  const auto positive = trial.min > L::Set(0);
  trial.scale = L::Select(positive, sums.xl / sums.l2, trial.scale);
  trial.min = L::Select(positive, L::Set(0), trial.min);
  return trial;
}

template <class L, int N, int kTop, bool kAbsolute = false, class X>
inline QUERN_LANE AffineFit<L> FitAffine(const X& x, const Floats<L, N>& w, AffineTrials trials) {
  using F = typename L::F;
  AffineSearch<L, N, kTop, kAbsolute> search(x, w);
  const F high = search.high;
  const F first_min = L::Select(search.low > L::Set(0), L::Set(0), search.low);
  const auto flat = L::Not(high > first_min);
  AffineFit<L> fit;
  F min = first_min;
  fit.inverse = L::Set(kTop) / (high - min);
  fit.base = min;
  fit.scale = L::Set(1) / fit.inverse;
  search.Round(fit.inverse, min);
  F best = search.Error(fit.scale, min);
  for (int step = 0; step <= trials.steps; ++step) {
    const float wanted =
        trials.first + trials.delta * static_cast<float>(step) + static_cast<float>(kTop);
    const F inverse = L::Set(wanted) / (high - min);
    const AffineTrial<L> trial = SolveAffine<L>(search, search.Round(inverse, min));
    const F error = search.Error(trial.scale, trial.min);
    const auto better = L::And(trial.solvable, error < best);
    best = L::Select(better, error, best);
    fit.inverse = L::Select(better, inverse, fit.inverse);
    fit.base = L::Select(better, min, fit.base);
    fit.scale = L::Select(better, trial.scale, fit.scale);
    min = L::Select(better, trial.min, min);
  }
  fit.minus = L::Neg(L::Select(flat, first_min, min));
  fit.widest = L::Max(L::Abs(high), L::Abs(search.low));
  fit.scale = L::Select(flat, L::Set(0), fit.scale);
  fit.inverse = L::Select(flat, L::Set(0), fit.inverse);
  return fit;
}

// Scales or minima of a super-block, which are hardly ever negative, as levels of 8 bits that wrap,
// at most kTop: x ~ result * level. Nine trial scales, then up to five rounds of single changes.
template <class L, int N, int kTop, class X, class W>
inline QUERN_LANE typename L::F FitPositive(const X& x, const W& w, Ints<L, N>& levels) {
  using F = typename L::F;
  using I = typename L::I;
  const auto level = [](F value) HWY_ATTR { return L::Min(NearestInt<L>(value), L::SetI(kTop)); };
  const auto byte = [](I value) HWY_ATTR { return value & L::SetI(0xff); };

  F max = L::Set(0);
  for (int i = 0; i < N; ++i) max = L::Max(max, x[i]);
  const auto zero = max < L::Set(kZeroGroup);
  F inverse = L::Set(kTop) / max;
  const F first_scale = L::Set(1) / inverse;
  F best = L::Set(0);
  for (int i = 0; i < N; ++i) {
    const F difference = x[i] - first_scale * L::ToFloat(byte(NearestInt<L>(inverse * x[i])));
    best = best + (w[i] * difference) * difference;
  }
  for (int step = -4; step <= 4; ++step) {
    if (step == 0) continue;
    const F trial = L::Set(0.1f * static_cast<float>(step) + static_cast<float>(kTop)) / max;
    const F scale = L::Set(1) / trial;
    F error = L::Set(0);
    for (int i = 0; i < N; ++i) {
      const F difference = x[i] - scale * L::ToFloat(level(trial * x[i]));
      error = error + (w[i] * difference) * difference;
    }
    const auto better = error < best;
    best = L::Select(better, error, best);
    inverse = L::Select(better, trial, inverse);
  }

  F sum_lx = L::Set(0), sum_l2 = L::Set(0);
  for (int i = 0; i < N; ++i) {
    const I chosen = level(inverse * x[i]);
    levels.Set(i, byte(chosen));
    const F l = L::ToFloat(chosen);
    sum_lx = sum_lx + (w[i] * x[i]) * l;
    sum_l2 = sum_l2 + (w[i] * l) * l;
  }
  for (int round = 0; round < 5; ++round) {
    bool changed = false;
    for (int i = 0; i < N; ++i) {
      const F wx = w[i] * x[i];
      const F old = L::ToFloat(levels[i]);
      F slx = sum_lx - wx * old;
      F sl2 = sum_l2 - (w[i] * old) * old;
      const auto defined = L::And(slx > L::Set(0), sl2 > L::Set(0));
      const I proposal = level((x[i] * sl2) / slx);
      const F l = L::ToFloat(proposal);
      slx = slx + wx * l;
      sl2 = sl2 + (w[i] * l) * l;
      const auto better =
          L::And(L::And(defined, L::Not(L::Equal(proposal, levels[i]))),
                 L::And((slx * slx) * sum_l2 > (sum_lx * sum_lx) * sl2, L::Not(zero)));
      levels.Set(i, L::Select(better, byte(proposal), levels[i]));
      sum_lx = L::Select(better, slx, sum_lx);
      sum_l2 = L::Select(better, sl2, sum_l2);
      changed |= L::Any(better);
    }
    if (!changed) break;
  }
  for (int i = 0; i < N; ++i) levels.Set(i, L::Select(zero, L::SetI(0), levels[i]));
  const F scale = L::Select(sum_l2 > L::Set(0), sum_lx / sum_l2, L::Set(0));
  return L::Select(zero, L::Set(0), scale);
}

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
