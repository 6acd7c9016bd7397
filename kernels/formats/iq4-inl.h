// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_IQ4_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_IQ4_INL_H_
#undef QUERN_KERNELS_FORMATS_IQ4_INL_H_
#else
#define QUERN_KERNELS_FORMATS_IQ4_INL_H_
#endif

#include "kernels/formats/grids.h"
#include "kernels/formats/legacy-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// What iq4_nl and iq4_xs share: 32 weights as d * kIq4Weights[code].

// The code of the weight nearest to x, the upper one on a tie. The mean of two neighbours is exact
// in float32, and so are the distances near it, so comparing with the means decides as the
// distances do.
template <class L>
HWY_INLINE typename L::I Iq4Code(typename L::F x) {
  using I = typename L::I;
  alignas(64) static constexpr float kMeans[16] = {-115.5f, -93.5f, -74.0f, -57.0f, -42.0f, -28.5f,
                                                   -16.0f,  -4.5f,  7.0f,   19.0f,  31.5f,  45.5f,
                                                   61.0f,   79.0f,  101.0f, 0.0f};
  // Bisection: `code` codes are known to be too low.
  I code = L::Select(x < L::Set(kMeans[7]), L::SetI(0), L::SetI(8));
  for (int step = 4; step > 0; step /= 2) {
    const auto below = x < L::Lookup16(kMeans, code + L::SetI(step - 1));
    code = L::Select(below, code, code + L::SetI(step));
  }
  return code;
}

template <class L>
HWY_INLINE typename L::F Iq4Weight(typename L::I code) {
  alignas(64) static constexpr float kWeights[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                                     1,    13,   25,  38,  53,  69,  89,  113};
  return L::Lookup16(kWeights, code);
}

// The weight nearest to x, whose magnitude is below kIq4Reach: the extreme is mapped to 134 at
// most. A CUDA thread looks it up (kernels/cuda/iq4_table.cuh).
inline constexpr int kIq4Reach = 135;
template <class L>
struct Iq4Nearest {
  static HWY_INLINE typename L::F Of(typename L::F x) { return Iq4Weight<L>(Iq4Code<L>(x)); }
};

// The scale of 32 weights for which the squares, weighted by `weights`, fit best: the trials map
// the extreme to -127 and up to seven steps to either side. 0 where there are (almost) only zeros.
template <class L, class X>
inline QUERN_LANE typename L::F FitIq4(const X& x, const Floats<L, 32>& weights) {
  using F = typename L::F;
  constexpr int kLowest = kIq4Weights[0];
  const Extreme<L> extreme = FindExtreme<L, 32>(x);
  const auto sums = [&](F inverse, F& sum_qx, F& sum_q2) HWY_ATTR {
    sum_qx = L::Set(0);
    sum_q2 = L::Set(0);
    for (int i = 0; i < 32; ++i) {
      const F q = Iq4Nearest<L>::Of(inverse * x[i]);
      const F wq = weights[i] * q;
      sum_qx = sum_qx + wq * x[i];
      sum_q2 = sum_q2 + wq * q;
    }
  };
  F sum_qx, sum_q2;
  sums(L::Set(1) / (L::Neg(extreme.value) / L::Set(kLowest)), sum_qx, sum_q2);
  F scale = L::Select(sum_q2 > L::Set(0), sum_qx / sum_q2, L::Set(0));
  F best = scale * sum_qx;
  for (int trial = -7; trial <= 7; ++trial) {
    sums(L::Set(static_cast<float>(trial + kLowest)) / extreme.value, sum_qx, sum_q2);
    const auto better = L::And(sum_q2 > L::Set(0), sum_qx * sum_qx > best * sum_q2);
    scale = L::Select(better, sum_qx / sum_q2, scale);
    best = L::Select(better, scale * sum_qx, best);
  }
  return L::Select(extreme.magnitude < L::Set(kZeroGroup), L::Set(0), scale);
}

template <class L, class X>
HWY_INLINE void PackIq4(const Out<L>& out, int offset, const X& x, typename L::F inverse) {
  Ints<L, 32> codes;
  for (int i = 0; i < 32; ++i) codes.Set(i, Iq4Code<L>(inverse * x[i]));
  PackNibbles<L, 16>(out, offset, codes, 0, 16);
}

HWY_INLINE void UnpackIq4(const uint8_t* bytes, float scale, float* out) {
  for (int i = 0; i < 16; ++i) {
    out[i] = scale * static_cast<float>(Iq4Number(bytes[i] & 15));
    out[i + 16] = scale * static_cast<float>(Iq4Number(bytes[i] >> 4));
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
