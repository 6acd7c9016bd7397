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
};

template <class L, int kHalf>
HWY_INLINE typename L::I SymmetricLevel(typename L::F inverse, typename L::I offset,
                                        typename L::F x) {
  return Clamp<L>(NearestInt<L>(inverse * x), -kHalf, kHalf - 1) + offset;
}

// Tries 19 scales round the one that maps the extreme to -kHalf; `w` are the weights of the
// squares.
template <class L, int N, int kHalf, class X, class W>
inline SymmetricFit<L> FitSymmetric(const X& x, const W& w) {
  using F = typename L::F;
  const Extreme<L> extreme = FindExtreme<L, N>(x);
  Floats<L, N> wx;
  for (int i = 0; i < N; ++i) wx.Set(i, w[i] * x[i]);

  const auto sums = [&](F inverse, F& sum_lx, F& sum_l2) HWY_ATTR {
    sum_lx = L::Set(0);
    sum_l2 = L::Set(0);
    for (int i = 0; i < N; ++i) {
      const F l = SmallLevel<L>(inverse * x[i], -kHalf, kHalf - 1);
      sum_lx = sum_lx + wx[i] * l;
      sum_l2 = sum_l2 + (w[i] * l) * l;
    }
  };

  SymmetricFit<L> fit;
  fit.inverse = L::Set(-kHalf) / extreme.value;
  F sum_lx, sum_l2;
  sums(fit.inverse, sum_lx, sum_l2);
  fit.scale = L::Select(sum_l2 == L::Set(0), L::Set(0), sum_lx / sum_l2);
  F best = fit.scale * sum_lx;
  for (int step = -9; step <= 9; ++step) {
    if (step == 0) continue;
    const F inverse = L::Set(-(kHalf + 0.1f * static_cast<float>(step))) / extreme.value;
    sums(inverse, sum_lx, sum_l2);
    const auto better = L::And(sum_l2 > L::Set(0), sum_lx * sum_lx > best * sum_l2);
    const F scale = sum_lx / sum_l2;
    fit.scale = L::Select(better, scale, fit.scale);
    best = L::Select(better, scale * sum_lx, best);
    fit.inverse = L::Select(better, inverse, fit.inverse);
  }
  const auto zero = extreme.magnitude < L::Set(kZeroGroup);
  fit.scale = L::Select(zero, L::Set(0), fit.scale);
  fit.inverse = L::Select(zero, L::Set(0), fit.inverse);
  fit.offset = L::Select(zero, L::SetI(0), L::SetI(kHalf));
  return fit;
}

// x ~ scale * level - minus, with levels in [0, kTop] and minus >= 0.
template <class L>
struct AffineFit {
  typename L::F scale;
  typename L::F minus;
  typename L::F inverse;  // levels are (x - base) * inverse, rounded; 0 where all weights are alike
  typename L::F base;
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
  bool absolute;  // judge by weighted absolute errors, else by squares
};

template <class L, int N, int kTop, class X, class W>
class AffineSearch {
  using F = typename L::F;
  using M = typename L::M;

 public:
  AffineSearch(const X& x, const W& w, AffineTrials trials) : x_(x), w_(w), trials_(trials) {}

  AffineFit<L> Run() {
    FindRange();
    AffineFit<L> fit;
    const M flat = L::Not(high_ > low_or_zero_);
    F min = low_or_zero_;
    fit.inverse = L::Set(kTop) / (high_ - min);
    fit.base = min;
    fit.scale = L::Set(1) / fit.inverse;
    FillLevels(fit.inverse, min);
    F best = Error(fit.scale, min);
    for (int step = 0; step <= trials_.steps; ++step) {
      const float wanted =
          trials_.first + trials_.delta * static_cast<float>(step) + static_cast<float>(kTop);
      const F inverse = L::Set(wanted) / (high_ - min);
      const Trial trial = Solve(inverse, min);
      const M better = L::And(trial.solvable, Error(trial.scale, trial.min) < best);
      best = L::Select(better, error_, best);
      fit.inverse = L::Select(better, inverse, fit.inverse);
      fit.base = L::Select(better, min, fit.base);
      fit.scale = L::Select(better, trial.scale, fit.scale);
      min = L::Select(better, trial.min, min);
    }
    fit.minus = L::Neg(L::Select(flat, low_or_zero_, min));
    fit.scale = L::Select(flat, L::Set(0), fit.scale);
    fit.inverse = L::Select(flat, L::Set(0), fit.inverse);
    return fit;
  }

 private:
  struct Trial {
    F scale;
    F min;
    M solvable;
  };

  void FindRange() {
    low_ = high_ = x_[0];
    sum_w_ = w_[0];
    sum_x_ = sum_w_ * x_[0];
    for (int i = 1; i < N; ++i) {
      const F x = x_[i];
      const F w = w_[i];
      low_ = L::Min(x, low_);
      high_ = L::Max(x, high_);
      sum_w_ = sum_w_ + w;
      sum_x_ = sum_x_ + w * x;
    }
    low_or_zero_ = L::Select(low_ > L::Set(0), L::Set(0), low_);
  }

  // Whether inverse * (x - min) stays where SmallLevel is right for every weight: rounding is
  // monotonic, so the two ends tell.
  bool IsSmall(F inverse, F min) const {
    const F limit = L::Set(kLevelLimit);
    return L::All(
        L::And(L::Abs(inverse * (high_ - min)) < limit, L::Abs(inverse * (low_ - min)) < limit));
  }

  void FillLevels(F inverse, F min) {
    if (IsSmall(inverse, min)) {
      for (int i = 0; i < N; ++i) levels_.Set(i, SmallLevel<L>(inverse * (x_[i] - min), 0, kTop));
    } else {
      for (int i = 0; i < N; ++i) levels_.Set(i, Level<L>(inverse * (x_[i] - min), 0, kTop));
    }
  }

  // The least squares for the levels of one trial: x ~ scale * level + min, min <= 0.
  Trial Solve(F inverse, F min) {
    F sum_l = L::Set(0), sum_l2 = L::Set(0), sum_xl = L::Set(0);
    const auto add = [&](int i, F l) HWY_ATTR {
      levels_.Set(i, l);
      const F wl = w_[i] * l;
      sum_l = sum_l + wl;
      sum_l2 = sum_l2 + wl * l;
      sum_xl = sum_xl + wl * x_[i];
    };
    if (IsSmall(inverse, min)) {
      for (int i = 0; i < N; ++i) add(i, SmallLevel<L>(inverse * (x_[i] - min), 0, kTop));
    } else {
      for (int i = 0; i < N; ++i) add(i, Level<L>(inverse * (x_[i] - min), 0, kTop));
    }
    const F determinant = sum_w_ * sum_l2 - sum_l * sum_l;
    Trial trial;
    trial.solvable = determinant > L::Set(0);
    trial.scale = (sum_w_ * sum_xl - sum_x_ * sum_l) / determinant;
    trial.min = (sum_l2 * sum_x_ - sum_l * sum_xl) / determinant;
    const M positive = trial.min > L::Set(0);
    trial.scale = L::Select(positive, sum_xl / sum_l2, trial.scale);
    trial.min = L::Select(positive, L::Set(0), trial.min);
    return trial;
  }

  F Error(F scale, F min) {
    error_ = L::Set(0);
    if (trials_.absolute) {
      for (int i = 0; i < N; ++i) {
        error_ = error_ + w_[i] * L::Abs((scale * levels_[i] + min) - x_[i]);
      }
    } else {
      for (int i = 0; i < N; ++i) {
        const F difference = (scale * levels_[i] + min) - x_[i];
        error_ = error_ + w_[i] * (difference * difference);
      }
    }
    return error_;
  }

  const X& x_;
  const W& w_;
  const AffineTrials trials_;
  F low_, high_, low_or_zero_, sum_w_, sum_x_, error_;
  Floats<L, N> levels_;
};

template <class L, int N, int kTop, class X, class W>
inline AffineFit<L> FitAffine(const X& x, const W& w, AffineTrials trials) {
  return AffineSearch<L, N, kTop, X, W>(x, w, trials).Run();
}

// Scales or minima of a super-block, which are hardly ever negative, as levels of 8 bits that wrap,
// at most kTop: x ~ result * level. Nine trial scales, then up to five rounds of single changes.
template <class L, int N, int kTop, class X, class W>
inline typename L::F FitPositive(const X& x, const W& w, Ints<L, N>& levels) {
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
