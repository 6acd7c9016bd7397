// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_Q3_K_PLAIN_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_Q3_K_PLAIN_INL_H_
#undef QUERN_KERNELS_FORMATS_Q3_K_PLAIN_INL_H_
#else
#define QUERN_KERNELS_FORMATS_Q3_K_PLAIN_INL_H_
#endif

#include <algorithm>
#include <type_traits>

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
  Extreme<L> extreme;
  M zero;

  HWY_INLINE void Round(const In<L>& x) {
    extreme = FindExtreme<L, 16>(x);
    zero = extreme.magnitude < L::Set(kZeroGroup);
    const F inverse = L::Set(-4) / extreme.value;
    F total_lx = L::Set(0), total_l2 = L::Set(0);
    for (int i = 0; i < 16; ++i) {
      const F w = x[i] * x[i];
      // The extreme itself becomes -4, so none is below.
      const F rounded = (inverse * x[i] + L::Set(kRoundingMagic)) - L::Set(kRoundingMagic);
      const F l = L::Min(rounded, L::Set(3));
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

  // Where a round may move a weight. It moves none of level l where q = x * sl2 / slx rounds to l,
  // with slx = sum_lx - lx, sl2 = sum_l2 - l2, or where slx <= 0.
  //
  // If the extreme is positive, no level has its weight's sign, so no lx is positive, and as float
  // sums are monotonic neither is any slx. Else let r = x * sum_l2 / sum_lx and share = lx /
  // sum_lx. As x * l2 = l * lx, q - l = (r - l) / (1 - share): so q is within 1/2 of l if r - l is
  // within (1 - share) / 2, and r may be cut off at the outermost levels, which stand for all
  // beyond. All this up to rounding: with r below 128 its error is below 2^-16, for which 0.499 and
  // the 2^-14 leave room, and q is below 2^20.
  QUERN_LANE M MayMove(const In<L>& x) const {
    const F ratio = sum_l2 / sum_lx, per_lx = L::Set(0.499f) / sum_lx;
    // Denormal sums are less exact.
    M stays = L::And(extreme.magnitude * ratio<L::Set(128), sum_lx> L::Set(1e-30f));
    for (int i = 0; i < 16; ++i) {
      const F r = L::Min(L::Set(3), L::Max(L::Set(-4), x[i] * ratio));
      const F room = L::Set(0.499f - 0x1p-14f) - lx[i] * per_lx;
      stays = L::And(stays, L::Abs(r - level[i]) < room);
    }
    return L::Not(L::Or(stays, L::Or(zero, extreme.value > L::Set(0))));
  }

  // One round. Returns where it moved a weight.
  HWY_INLINE M Move(const In<L>& x) {
    M moved = L::Set(1) < L::Set(0);
    for (int i = 0; i < 16; ++i) {
      const F w = x[i] * x[i];
      const F old = level[i];
      const F slx = sum_lx - lx[i];
      const F sl2 = sum_l2 - l2[i];
      // The extreme keeps a level of its own sign, so quotients stay below 2^11.
      const F l = SmallLevel<L>((x[i] * sl2) / slx, -4, 3);
      const F term_lx = (w * x[i]) * l, term_l2 = (w * l) * l;
      const F new_slx = slx + term_lx;
      const F new_sl2 = sl2 + term_l2;
      const M fits = L::And(L::Min(slx, new_sl2) > L::Set(0),
                            (new_slx * new_slx) * sum_l2 > (sum_lx * sum_lx) * new_sl2);
      const M better = L::And(fits, L::Not(l == old));
      level.Set(i, L::Select(better, l, old));
      lx.Set(i, L::Select(better, term_lx, lx[i]));
      l2.Set(i, L::Select(better, term_l2, l2[i]));
      sum_lx = L::Select(better, new_slx, sum_lx);
      sum_l2 = L::Select(better, new_sl2, sum_l2);
      moved = L::Or(moved, better);
    }
    return moved;
  }

  QUERN_LANE void MoveAll(const In<L>& x) {
    for (int round = 0; round < 5; ++round) {
      if (!L::Any(Move(x))) break;
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

// The scales of the sub-blocks of 16 weights of q3_K without an importance matrix: levels -4 to 3
// by rounding, then up to five rounds in which each weight may move to the level that its
// neighbours' scale wants, if the fit gets better by it (facts: make_q3_quants). Each step waits
// for the one before it, but of normal weights only one sub-block in five has one that moves at
// all, and few of these another one after the first round. A test without such waits tells them,
// and they are collected until they fill the lanes, for one round first and then for all five.
template <class L>
class PlainFit {
  // Twice the lanes for what waits for itself.
  using Wide = PairLane<L>;
  // A single lane has nothing to collect for.
  static constexpr bool kAlone = L::kMax == 1;

  // Sub-blocks that wait, and where their scales belong.
  struct Queue {
    const float* from[Wide::kMax];
    float* to[Wide::kMax];
    int size = 0;

    void Add(const float* weights, float* scale) {
      from[size] = weights;
      to[size++] = scale;
    }
    bool full() const { return size == Wide::kMax; }
  };

 public:
  // Writes the scale of each sub-block and its largest magnitude.
  QUERN_LANE PlainFit(const Tile<L>& tile, Floats<L, 16>& scale, Floats<L, 16>& widest)
      : tile_(tile), scale_(scale), widest_(widest) {}

  QUERN_LANE void Run() {
    for (int j = 0; j < 16; ++j) {
      const In<L> x = tile_.x.From(16 * j);
      PlainLevels<L> fit;
      fit.Round(x);
      widest_.Set(j, fit.extreme.magnitude);
      const auto moves = fit.MayMove(x);
      if constexpr (kAlone) {
        if (L::Any(moves)) fit.MoveAll(x);
      }
      scale_.Set(j, fit.Scale());
      if constexpr (!kAlone) {
        if (L::Any(moves)) Collect(j, moves);
      }
    }
    if constexpr (!kAlone) {
      if (once_.size > 0) MoveOnce();
      if (often_.size > 0) MoveOften();
    }
  }

 private:
  void Collect(int j, typename L::M moves) {
    alignas(64) int32_t wanted[L::kMax];
    L::StoreI(L::Select(moves, L::SetI(1), L::SetI(0)), wanted);
    for (int lane = 0; lane < L::kMax; ++lane) {
      if (!wanted[lane]) continue;
      once_.Add(tile_.blocks[lane] + 16 * j, scale_.values + j * L::kMax + lane);
      if (once_.full()) MoveOnce();
    }
  }

  // The sub-blocks of a queue, one a lane; the lanes beyond them repeat the first.
  static void Load(Queue& queue, Floats<Wide, 16>& x) {
    std::fill(queue.from + queue.size, queue.from + Wide::kMax, queue.from[0]);
    Wide::Interleave(queue.from, 16, x.values);
  }

  void MoveOnce() {
    Floats<Wide, 16> weights;
    Load(once_, weights);
    const In<Wide> x{weights.values};
    PlainLevels<Wide> fit;
    fit.Round(x);
    fit.Move(x);
    alignas(64) float scales[Wide::kMax];
    Wide::Store(fit.Scale(), scales);
    alignas(64) int32_t restless[Wide::kMax];
    Wide::StoreI(Wide::Select(fit.MayMove(x), Wide::SetI(1), Wide::SetI(0)), restless);
    for (int lane = 0; lane < once_.size; ++lane) {
      *once_.to[lane] = scales[lane];
      if (!restless[lane]) continue;
      often_.Add(once_.from[lane], once_.to[lane]);
      if (often_.full()) MoveOften();
    }
    once_.size = 0;
  }

  void MoveOften() {
    Floats<Wide, 16> weights;
    Load(often_, weights);
    const In<Wide> x{weights.values};
    PlainLevels<Wide> fit;
    fit.Round(x);
    fit.MoveAll(x);
    alignas(64) float scales[Wide::kMax];
    Wide::Store(fit.Scale(), scales);
    for (int lane = 0; lane < often_.size; ++lane) *often_.to[lane] = scales[lane];
    often_.size = 0;
  }

  const Tile<L>& tile_;
  Floats<L, 16>& scale_;
  Floats<L, 16>& widest_;
  std::conditional_t<kAlone, int, Queue> once_{}, often_{};
};

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
