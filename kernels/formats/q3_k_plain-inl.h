// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_Q3_K_PLAIN_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_Q3_K_PLAIN_INL_H_
#undef QUERN_KERNELS_FORMATS_Q3_K_PLAIN_INL_H_
#else
#define QUERN_KERNELS_FORMATS_Q3_K_PLAIN_INL_H_
#endif

#include <limits>

#include "kernels/formats/search-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// The scales of the sub-blocks of 16 weights of q3_K without an importance matrix: levels -4 to 3
// by rounding, then up to five rounds in which each weight may move to the level that its
// neighbours' scale wants, if the fit gets better by it (facts: make_q3_quants).

// The first level of a weight. The extreme itself becomes -4, so none is below.
template <class L>
HWY_INLINE typename L::F PlainLevel(typename L::F inverse, typename L::F x) {
  return L::AtMost(L::Round(inverse * x), 3);
}

// A sub-block's sums of w * x * level and of w * level^2, which its scale is the quotient of.
template <class L>
struct PlainSums {
  typename L::F lx, l2;

  HWY_INLINE typename L::F Scale() const { return L::Select(l2 > L::Set(0), lx / l2, L::Set(0)); }
};

// Levels -4 to 3 by rounding: keep(i, level) is told each, and the sums come back.
template <class L, class X, class Keep>
HWY_INLINE PlainSums<L> RoundPlain(const X& x, typename L::F inverse, const Keep& keep) {
  using F = typename L::F;
  PlainSums<L> sums{L::Set(0), L::Set(0)};
  for (int i = 0; i < 16; ++i) {
    const F w = x[i] * x[i];
    const F level = PlainLevel<L>(inverse, x[i]);
    sums.lx = sums.lx + (w * x[i]) * level;
    sums.l2 = sums.l2 + (w * level) * level;
    keep(i, level);
  }
  return sums;
}

// What a round does to one weight: it gets the level that its neighbours' scale wants, if the fit
// gets better by it. Returns where it did.
template <class L>
HWY_INLINE typename L::M MovePlain(typename L::F x, typename L::F& level, PlainSums<L>& sums) {
  using F = typename L::F;
  const F w = x * x, wx = w * x;
  const F lx = sums.lx - wx * level;
  const F l2 = sums.l2 - (w * level) * level;
  // The extreme keeps a level of its own sign, so quotients stay below 2^11.
  const F wanted = SmallLevel<L>((x * l2) / lx, -4, 3);
  const F new_lx = lx + wx * wanted;
  const F new_l2 = l2 + (w * wanted) * wanted;
  const auto fits = L::And(L::Min(lx, new_l2) > L::Set(0),
                           (new_lx * new_lx) * sums.l2 > (sums.lx * sums.lx) * new_l2);
  const auto better = L::And(fits, L::Not(wanted == level));
  level = L::Select(better, wanted, level);
  sums.lx = L::Select(better, new_lx, sums.lx);
  sums.l2 = L::Select(better, new_l2, sums.l2);
  return better;
}

// Tells which weights a round leaves where they are, without the waits of MovePlain.
//
// A round moves none of level l where q = x * l2 / lx rounds to l, with the sums less the weight's
// own terms, or where lx <= 0.
//
// If the extreme is positive, no level has its weight's sign, so no term of lx is positive, and as
// float sums are monotonic neither is any sum. Else let r = x * l2 / lx of the whole sums, and
// share = the weight's term / lx. As x * (its term of l2) = l * (its term of lx), q - l = (r - l) /
// (1 - share): so q is within 1/2 of l if r - l is within (1 - share) / 2, and r may be cut off at
// the outermost levels, which stand for all beyond. All this up to rounding: with r below 128 its
// error is below 2^-15, for which 0.499 and the 2^-14 leave room, and q is below 2^20.
template <class L>
struct PlainStay {
  typename L::F ratio, per_lx;

  HWY_INLINE PlainStay(typename L::F r, typename L::F p) : ratio(r), per_lx(p) {}
  HWY_INLINE PlainStay(const PlainSums<L>& sums, typename L::F magnitude) {
    const typename L::F inverse = L::Set(1) / sums.lx;
    ratio = sums.l2 * inverse;
    // Of denormals all this is less exact. Nothing compares with a NaN, so nothing is told then.
    const auto normal = L::And(sums.lx > L::Set(1e-30f), L::Set(1e30f) > sums.lx);
    const auto told = L::And(normal, L::Set(128) > magnitude * ratio);
    const typename L::F nan = L::Set(std::numeric_limits<float>::quiet_NaN());
    per_lx = L::Select(told, L::Set(0.499f) * inverse, nan);
  }
  // Of a weight with its level.
  HWY_INLINE typename L::M operator()(typename L::F x, typename L::F level) const {
    const typename L::F r = L::AtMost(L::AtLeast(x * ratio, -4), 3);
    const typename L::F lx = ((x * x) * x) * level;
    return L::Abs(r - level) < L::Set(0.499f - 0x1p-14f) - lx * per_lx;
  }
};

// The levels of sub-blocks, a lane each.
template <class L, class X>
class PlainLevels {
  using F = typename L::F;
  using I = typename L::I;
  using M = typename L::M;

 public:
  HWY_INLINE explicit PlainLevels(const X& x) : x_(x) {
    extreme = FindExtreme<L, 16>(x);
    zero_ = extreme.magnitude < L::Set(kZeroGroup);
    const F inverse = L::Set(-4) / extreme.value;
    // The level of what is no number is 0.
    const auto keep = [&](int i, F level) HWY_ATTR {
      const F scaled = inverse * x[i];
      level_.Set(i, L::Select(scaled == scaled, level, L::Set(0)));
    };
    sums_ = RoundPlain<L>(x, inverse, keep);
  }

  QUERN_LANE void MoveAll() {
    if (!L::Any(MayMove())) return;
    for (int round = 0; round < 5; ++round) {
      M moved = L::Set(1) < L::Set(0);
      for (int i = 0; i < 16; ++i) {
        F level = level_[i];
        moved = L::Or(moved, MovePlain<L>(x_[i], level, sums_));
        level_.Set(i, level);
      }
      if (!L::Any(moved)) return;
    }
  }

  HWY_INLINE I Code(int i) const {
    return L::Select(zero_, L::SetI(0), NearestInt<L>(level_[i]) + L::SetI(4));
  }
  HWY_INLINE F Scale() const { return L::Select(zero_, L::Set(0), sums_.Scale()); }

  Extreme<L> extreme;

 private:
  QUERN_LANE M MayMove() const {
    const PlainStay<L> stay(sums_, extreme.magnitude);
    M stays = L::Set(0) < L::Set(1);
    for (int i = 0; i < 16; ++i) stays = L::And(stays, stay(x_[i], level_[i]));
    return L::Not(L::Or(stays, L::Or(zero_, extreme.value > L::Set(0))));
  }

  X x_;
  M zero_;
  Floats<L, 16> level_;
  PlainSums<L> sums_;
};

// The levels after all moves.
template <class L, class X>
HWY_INLINE PlainLevels<L, X> MovedLevels(const X& x) {
  PlainLevels<L, X> levels(x);
  levels.MoveAll();
  return levels;
}

// Sub-block j of each lane's block, interleaved into `scratch`.
template <class L>
HWY_INLINE In<L> LoadSubBlock(const float* const* blocks, int j, Floats<L, 16>& scratch) {
  const float* from[L::kMax];
  for (int lane = 0; lane < L::kMax; ++lane) from[lane] = blocks[lane] + 16 * j;
  L::Interleave(from, 16, scratch.values);
  return In<L>{scratch.values};
}

// What the fit finds of a tile's sub-blocks: their scales, and their largest magnitudes.
template <class L>
struct PlainScales {
  Floats<L, 16> scale, widest;
};

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
