// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_Q3_K_MOVES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_Q3_K_MOVES_INL_H_
#undef QUERN_KERNELS_FORMATS_Q3_K_MOVES_INL_H_
#else
#define QUERN_KERNELS_FORMATS_Q3_K_MOVES_INL_H_
#endif

#include <bit>
#include <cstdint>

#include "kernels/formats/q3_k_plain-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// The fit of q3_k_plain-inl.h for many blocks at once. Each step of its rounds waits for the one
// before it, but of normal weights only one sub-block in five has a weight that may move at all,
// and then two or three. So the steps go from one that may move to the next, and those of many
// sub-blocks go side by side: they wait in a pool, a lane each, and a lane that has no more to do
// is given to another one.
template <class L>
class PlainFit {
  // The lanes of a register for weights that lie next to each other.
  using N = typename L::Near;
  using F = typename L::F;

 public:
  // The sub-blocks of a tile whose lanes have these blocks; its scales are all known after Finish.
  HWY_INLINE void Add(const float* const* blocks, PlainScales<L>& found) {
    for (int j = 0; j < 16; ++j) {
      if (size_ > kPool - L::kMax) Advance(L::kMax);
      Floats<L, 16> weights;
      const In<L> x = LoadSubBlock<L>(blocks, j, weights);
      const Extreme<L> extreme = FindExtreme<L, 16>(x);
      const auto zero = extreme.magnitude < L::Set(kZeroGroup);
      const F inverse = L::Set(-4) / extreme.value;
      const PlainSums<L> sums = RoundPlain<L>(x, inverse, [](int, F) HWY_ATTR {});
      found.widest.Set(j, extreme.magnitude);
      found.scale.Set(j, L::Select(zero, L::Set(0), sums.Scale()));
      const auto still = L::Or(zero, extreme.value > L::Set(0));
      const uint64_t restless = L::MaskBits(L::Not(still));
      Enter(restless, blocks, j, extreme.magnitude, inverse, sums, found);
    }
  }

  void Finish() { Advance(1); }

 private:
  // A sub-block that waits for its next move.
  struct Waiting {
    const float* from;
    float* to;
    float magnitude;
    int32_t at;       // which of its weights may move next
    uint32_t rounds;  // that may follow, a bit each
    uint32_t moved;   // whether one moved in this round
  };

  // Sub-block j of these lanes, as far as one of its weights may move.
  HWY_INLINE void Enter(uint64_t lanes, const float* const* blocks, int j, F magnitude, F inverse,
                        const PlainSums<L>& sums, PlainScales<L>& found) {
    const PlainStay<L> stay(sums, magnitude);
    alignas(64) float magnitudes[L::kMax], inverses[L::kMax], lx[L::kMax], l2[L::kMax];
    L::Store(magnitude, magnitudes);
    L::Store(inverse, inverses);
    L::Store(sums.lx, lx);
    L::Store(sums.l2, l2);
    alignas(64) float ratios[L::kMax], per_lx[L::kMax];
    L::Store(stay.ratio, ratios);
    L::Store(stay.per_lx, per_lx);
    int size = size_;
    for (; lanes != 0; lanes &= lanes - 1) {
      const int lane = std::countr_zero(lanes);
      const float* x = blocks[lane] + 16 * j;
      float* level = level_ + 16 * size;
      for (int i = 0; i < 16; i += N::kMax) {
        N::Store(PlainLevel<N>(N::Set(inverses[lane]), N::LoadNear(x + i)), level + i);
      }
      const uint32_t movable = Movable(x, level, ratios[lane], per_lx[lane]);
      float* scale = found.scale.values + j * L::kMax + lane;
      // Written anyway, and kept where a weight may move: a branch would be a guess.
      waiting_[size] = {x, scale, magnitudes[lane], std::countr_zero(movable), 15, 0};
      lx_[size] = lx[lane];
      l2_[size] = l2[lane];
      size += movable != 0;
    }
    size_ = size;
  }

  // A bit for each weight that may move.
  static HWY_INLINE uint32_t Movable(const float* x, const float* level, float ratio,
                                     float per_lx) {
    const PlainStay<N> stay(N::Set(ratio), N::Set(per_lx));
    uint32_t stays = 0;
    for (int i = 0; i < 16; i += N::kMax) {
      const auto here = stay(N::LoadNear(x + i), N::Load(level + i));
      stays |= static_cast<uint32_t>(N::MaskBits(here)) << i;
    }
    return ~stays & 0xffff;
  }

  // Until fewer than `few` wait.
  void Advance(int few) {
    while (size_ >= few) Step();
  }

  // Each moves one weight, if that makes the fit better, and looks for its next: one behind it in
  // this round, or if any has moved, the first in a next round. Those that find none leave.
  void Step() {
    const int count = size_;
    alignas(64) float x[kPool] = {}, level[kPool] = {}, magnitude[kPool] = {};
    for (int e = 0; e < count; ++e) {
      const Waiting& w = waiting_[e];
      x[e] = w.from[w.at];
      level[e] = level_[16 * e + w.at];
      magnitude[e] = w.magnitude;
    }
    alignas(64) float scale[kPool], ratio[kPool], per_lx[kPool];
    alignas(64) int32_t moved[kPool];
    for (int e = 0; e < count; e += L::kMax) {
      F l = L::Load(level + e);
      PlainSums<L> sums{L::Load(lx_ + e), L::Load(l2_ + e)};
      const auto better = MovePlain<L>(L::Load(x + e), l, sums);
      L::StoreI(L::Select(better, L::SetI(1), L::SetI(0)), moved + e);
      L::Store(l, level + e);
      L::Store(sums.lx, lx_ + e);
      L::Store(sums.l2, l2_ + e);
      L::Store(sums.Scale(), scale + e);
      const PlainStay<L> stay(sums, L::Load(magnitude + e));
      L::Store(stay.ratio, ratio + e);
      L::Store(stay.per_lx, per_lx + e);
    }
    for (int e = 0; e < count; ++e) {
      const Waiting& w = waiting_[e];
      level_[16 * e + w.at] = level[e];
      *w.to = scale[e];
    }
    int size = 0;
    for (int e = 0; e < count; ++e) {
      Waiting w = waiting_[e];
      const float* row = level_ + 16 * e;
      const uint32_t movable = Movable(w.from, row, ratio[e], per_lx[e]);
      w.moved |= static_cast<uint32_t>(moved[e]);
      const uint32_t rest = movable & (~1u << w.at);
      const uint32_t last = rest == 0;
      const uint32_t next = rest | (movable & -(last & w.moved & w.rounds));
      w.rounds >>= last;
      w.moved &= ~last;
      w.at = std::countr_zero(next);
      for (int i = 0; i < 16; i += N::kMax) N::Store(N::Load(row + i), level_ + 16 * size + i);
      waiting_[size] = w;
      lx_[size] = lx_[e];
      l2_[size] = l2_[e];
      size += next != 0;
    }
    size_ = size;
  }

  static constexpr int kPool = 2 * L::kMax;
  int size_ = 0;
  Waiting waiting_[kPool];
  alignas(64) float level_[16 * kPool];  // of each, one after the other
  alignas(64) float lx_[kPool] = {}, l2_[kPool] = {};
};

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
