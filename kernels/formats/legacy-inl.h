// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_LEGACY_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_LEGACY_INL_H_
#undef QUERN_KERNELS_FORMATS_LEGACY_INL_H_
#else
#define QUERN_KERNELS_FORMATS_LEGACY_INL_H_
#endif

#include "kernels/formats/blocks.h"
#include "kernels/formats/pack-inl.h"
#include "kernels/formats/search-inl.h"
#include "kernels/half.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// What q4_0, q4_1, q5_0 and q5_1 share: 32 weights with one scale, and maybe a minimum.

// 1 / d, or 0 where d is.
template <class L>
HWY_INLINE typename L::F InverseOrZero(typename L::F d) {
  return L::Select(d == L::Set(0), L::Set(0), L::Set(1) / d);
}

// Levels 0 to 2 * kHalf - 1 for x ~ d * (level - kHalf), where the extreme maps to level 0.
template <class L, int kHalf>
inline QUERN_LANE typename L::F EncodeSymmetric(const Tile<L>& tile, Ints<L, 32>& levels) {
  using F = typename L::F;
  const auto x = tile.x.template Sub<32>(0);
  if (tile.weighted) {
    Floats<L, 32> weights;
    WeighSquares<L, 32>(tile.importance.template Sub<32>(0), x, tile.row_mean_x2, weights);
    const SymmetricFit<L> fit = FitSymmetric<L, 32, kHalf>(x, weights);
    for (int i = 0; i < 32; ++i) {
      levels.Set(i, SymmetricLevel<L, kHalf>(fit.inverse, fit.offset, x[i]));
    }
    return fit.scale;
  }
  const F d = FindExtreme<L, 32>(x).value / L::Set(-kHalf);
  const F inverse = InverseOrZero<L>(d);
  for (int i = 0; i < 32; ++i) {
    const auto level = L::ToInt(x[i] * inverse + L::Set(kHalf + 0.5f));
    levels.Set(i, L::Min(level, L::SetI(2 * kHalf - 1)));
  }
  return d;
}

// Levels 0 to kTop for x ~ d * level + m.
template <class L>
struct ScaleAndMin {
  typename L::F d;
  typename L::F m;
};
template <class L, int kTop>
inline QUERN_LANE ScaleAndMin<L> EncodeAffine(const Tile<L>& tile, Ints<L, 32>& levels) {
  using F = typename L::F;
  const auto x = tile.x.template Sub<32>(0);
  if (tile.weighted) {
    Floats<L, 32> weights;
    WeighSquares<L, 32>(tile.importance.template Sub<32>(0), x, tile.row_mean_x2, weights);
    const AffineFit<L> fit = FitAffine<L, 32, kTop>(x, weights, {-0.9f, 0.05f, 36});
    for (int i = 0; i < 32; ++i) {
      levels.Set(i, AffineLevel<L, kTop>(fit.inverse, fit.base, x[i]));
    }
    return {fit.scale, L::Neg(fit.minus)};
  }
  F min = x[0], max = x[0];
  for (int i = 1; i < 32; ++i) {
    min = L::Min(x[i], min);
    max = L::Max(x[i], max);
  }
  const F d = (max - min) / L::Set(kTop);
  const F inverse = InverseOrZero<L>(d);
  for (int i = 0; i < 32; ++i) {
    const auto level = L::ToInt((x[i] - min) * inverse + L::Set(0.5f));
    levels.Set(i, L::Min(level, L::SetI(kTop)));
  }
  return {d, min};
}

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
