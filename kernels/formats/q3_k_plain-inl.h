// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_Q3_K_PLAIN_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_Q3_K_PLAIN_INL_H_
#undef QUERN_KERNELS_FORMATS_Q3_K_PLAIN_INL_H_
#else
#define QUERN_KERNELS_FORMATS_Q3_K_PLAIN_INL_H_
#endif

#include <algorithm>

#include "kernels/formats/search-inl.h"
#include "kernels/lane_pair-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// The levels of sub-blocks, a lane each, and what their fit is judged by.
template <class L>
struct PlainLevels {
  using F = typename L::F;
  using I = typename L::I;
  using M = typename L::M;

  Floats<L, 16> level, lx, l2;  // and the terms of the sums
  F sum_lx, sum_l2;
  M zero;

  HWY_INLINE void Round(const In<L>& x) {
    const Extreme<L> extreme = FindExtreme<L, 16>(x);
    zero = extreme.magnitude < L::Set(kZeroGroup);
    const F inverse = L::Set(-4) / extreme.value;
    F total_lx = L::Set(0), total_l2 = L::Set(0);
    for (int i = 0; i < 16; ++i) {
      const F w = x[i] * x[i];
      const F l = SmallLevel<L>(inverse * x[i], -4, 3);
      const F term_lx = (w * x[i]) * l, term_l2 = (w * l) * l;
      level.Set(i, l);
      lx.Set(i, term_lx);
      l2.Set(i, term_l2);
      total_lx = total_lx + term_lx;
      total_l2 = total_l2 + term_l2;
    }
    sum_lx = total_lx;
    sum_l2 = total_l2;
  }

  // Where the first round may move a weight: slx is positive, which it is for no weight if the
  // extreme is, and the level not surely the rounded x * sl2 / slx. The margin is far above the
  // rounding errors, as long as slx is a normal number.
  QUERN_LANE M MayMove(const In<L>& in) const {
    M stays = L::Not(L::Set(0) < L::Set(0));
    F least = L::Set(1), most = L::Set(0);
    for (int i = 0; i < 16; ++i) {
      const F old = level[i];
      const F slx = sum_lx - lx[i];
      const F sl2 = sum_l2 - l2[i];
      // The outermost levels stand for all beyond them.
      const F low = L::Select(old == L::Set(-4), L::Set(-1e9f), old - L::Set(0.499f));
      const F high = L::Select(old == L::Set(3), L::Set(1e9f), old + L::Set(0.499f));
      const F wanted = in[i] * sl2;
      stays = L::And(stays, L::And(wanted > low * slx, wanted < high * slx));
      least = L::Min(slx, least);
      most = L::Max(slx, most);
    }
    stays = L::And(stays, least > L::Set(1e-30f));
    return L::Not(L::Or(stays, L::Or(zero, most <= L::Set(0))));
  }

  QUERN_LANE void Move(const In<L>& x) {
    for (int round = 0; round < 5; ++round) {
      M changed = L::Set(1) < L::Set(0);
      for (int i = 0; i < 16; ++i) {
        const F w = x[i] * x[i];
        const F old = level[i];
        F slx = sum_lx - lx[i];
        F sl2 = sum_l2 - l2[i];
        const M defined = slx > L::Set(0);
        const F l = Level<L>((x[i] * sl2) / slx, -4, 3);
        const F term_lx = (w * x[i]) * l, term_l2 = (w * l) * l;
        slx = slx + term_lx;
        sl2 = sl2 + term_l2;
        const M better =
            L::And(L::And(defined, L::Not(l == old)),
                   L::And(sl2 > L::Set(0), (slx * slx) * sum_l2 > (sum_lx * sum_lx) * sl2));
        level.Set(i, L::Select(better, l, old));
        lx.Set(i, L::Select(better, term_lx, lx[i]));
        l2.Set(i, L::Select(better, term_l2, l2[i]));
        sum_lx = L::Select(better, slx, sum_lx);
        sum_l2 = L::Select(better, sl2, sum_l2);
        changed = L::Or(changed, better);
      }
      if (!L::Any(changed)) break;
    }
  }

  HWY_INLINE I Code(int i) const {
    return L::Select(zero, L::SetI(0), NearestInt<L>(level[i]) + L::SetI(4));
  }
  HWY_INLINE F Scale() const {
    const M some = L::And(sum_l2 > L::Set(0), L::Not(zero));
    return L::Select(some, sum_lx / sum_l2, L::Set(0));
  }
};

// Levels -4 to 3 for the sub-blocks of 16 weights of q3_K without an importance matrix: by
// rounding, then up to five rounds in which each weight may move to the level that its neighbours'
// scale wants, if the fit gets better by it (facts: make_q3_quants). Each step waits for the one
// before it, but of normal weights only one sub-block in five has one that moves at all: those
// are told by a test without such waits, and collected until they fill the lanes.
template <class L>
class PlainFit {
  using M = typename L::M;
  // Twice the lanes for what waits for itself.
  using Wide = PairLane<L>;
  // A single lane has nothing to collect for.
  static constexpr bool kAlone = L::kMax == 1;

 public:
  // x: 256 weights. Writes levels 0 to 7, and the scale of each sub-block.
  QUERN_LANE PlainFit(const In<L>& x, Ints<L, 256>& levels, Floats<L, 16>& scale)
      : x_(x), levels_(levels), scale_(scale) {}

  QUERN_LANE void Run() {
    for (int j = 0; j < 16; ++j) {
      const In<L> x = x_.From(16 * j);
      PlainLevels<L> fit;
      fit.Round(x);
      const M moves = fit.MayMove(x);
      if constexpr (kAlone) {
        if (L::Any(moves)) fit.Move(x);
      }
      for (int i = 0; i < 16; ++i) levels_.Set(16 * j + i, fit.Code(i));
      scale_.Set(j, fit.Scale());
      if constexpr (!kAlone) {
        if (L::Any(moves)) Collect(16 * j, moves);
      }
    }
    if constexpr (!kAlone) {
      if (waiting_ > 0) MoveWaiting();
    }
  }

 private:
  QUERN_LANE void Collect(int first, M moves) {
    alignas(64) int32_t wanted[L::kMax];
    L::StoreI(L::Select(moves, L::SetI(1), L::SetI(0)), wanted);
    for (int lane = 0; lane < L::kMax; ++lane) {
      if (!wanted[lane]) continue;
      at_[waiting_++] = first * L::kMax + lane;
      if (waiting_ == Wide::kMax) MoveWaiting();
    }
  }

  // The sub-blocks that wait, one a lane; the lanes beyond them repeat the first.
  QUERN_LANE void MoveWaiting() {
    std::fill(at_ + waiting_, at_ + Wide::kMax, at_[0]);
    Floats<Wide, 16> x;
    const typename Wide::I at = Wide::LoadI(at_);
    for (int i = 0; i < 16; ++i) x.Set(i, Wide::Lookup(x_.values + i * L::kMax, at));
    PlainLevels<Wide> fit;
    fit.Round(In<Wide>{x.values});
    fit.Move(In<Wide>{x.values});
    Ints<Wide, 16> levels;
    for (int i = 0; i < 16; ++i) levels.Set(i, fit.Code(i));
    alignas(64) float scales[Wide::kMax];
    Wide::Store(fit.Scale(), scales);
    for (int lane = 0; lane < waiting_; ++lane) {
      for (int i = 0; i < 16; ++i) {
        levels_.values[at_[lane] + i * L::kMax] = levels.values[i * Wide::kMax + lane];
      }
      const int j = at_[lane] / (16 * L::kMax);
      scale_.values[j * L::kMax + at_[lane] % L::kMax] = scales[lane];
    }
    waiting_ = 0;
  }

  const In<L>& x_;
  Ints<L, 256>& levels_;
  Floats<L, 16>& scale_;
  alignas(64) int32_t at_[Wide::kMax];  // in x_: the first weights of the sub-blocks that wait
  int waiting_ = 0;
};

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
