// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_FINAL_LEVELS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_FINAL_LEVELS_INL_H_
#undef QUERN_KERNELS_FORMATS_FINAL_LEVELS_INL_H_
#else
#define QUERN_KERNELS_FORMATS_FINAL_LEVELS_INL_H_
#endif

#include <type_traits>

#include "kernels/formats/rounding-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// What the k types do last: the levels of a super-block's weights for the scales as they are
// stored, NearestInt((x + shift) / d) from kLow to kHigh; where a sub-block's d came out as 0 the
// levels of the search stay. Nothing is summed up here, so the lanes of a register are neighbours
// in one block, and the levels come out in the order of the weights, where packing them is a plain
// loop.
template <class L, int kSubs, int kLow, int kHigh, bool kShifted>
class FinalLevels {
  using F = typename L::F;
  using M = typename L::M;
  using N = std::conditional_t<L::kMax == 1, L, typename L::Near>;
  static constexpr int kSub = 256 / kSubs;
  // Then levels that a product and a quotient are rounded to agree, see ByInverse.
  static_assert(kLow >= -64 && kHigh <= 64 && kSub % N::kMax == 0);

 public:
  // Of sub-block j: the step d, what is added to its weights where kShifted, and its largest
  // magnitude.
  QUERN_LANE void Set(int j, F d, F shift, F widest) {
    const F inverse = L::Set(1) / d;
    const F magnitude = L::Abs(inverse);
    F bound = widest;
    if constexpr (kShifted) {
      bound = bound + L::Abs(shift);
      shift_.Set(j, shift);
    }
    // A product with a denormal inverse may be further off.
    const M normal = L::And(magnitude > L::Set(1e-37f), magnitude < L::Set(1e37f));
    const M sure = L::And(normal, bound * magnitude < L::Set(kLevelLimit / 2));
    sure_ = j == 0 ? sure : L::And(sure_, sure);
    d_.Set(j, d);
    inverse_.Set(j, inverse);
  }

  // Calls pack(codes, block) for each lane's block: 256 bytes, level - kLow each, and where to.
  // searched(j, codes) gives those of sub-block j for the lanes whose d is 0.
  template <class Searched, class Pack>
  QUERN_LANE void Write(const Tile<L>& tile, const Searched& searched, const Pack& pack) {
    alignas(64) int32_t sure[L::kMax];
    L::StoreI(L::Select(sure_, L::SetI(1), L::SetI(0)), sure);
    if (!L::All(sure_)) {
      for (int j = 0; j < kSubs; ++j) {
        if (L::Any(d_[j] == L::Set(0))) searched(j, searched_[j]);
      }
    }
    for (int lane = 0; lane < tile.out.lanes; ++lane) {
      alignas(64) uint8_t codes[256];
      if (!sure[lane] || !ByInverse(tile, lane, codes)) ByDivision(tile, lane, codes);
      pack(codes, tile.out.Block(lane));
    }
  }

 private:
  static HWY_INLINE float Of(const Floats<L, kSubs>& values, int j, int lane) {
    return values.values[j * L::kMax + lane];
  }

  // The weights of sub-block j of a lane's block, neighbours in the lanes of N.
  struct Neighbours {
    const float* at;
    HWY_INLINE typename N::F operator[](int i) const { return N::LoadNear(at + i); }
  };
  static HWY_INLINE auto SubBlock(const Tile<L>& tile, int j, [[maybe_unused]] int lane) {
    if constexpr (L::kMax == 1) {
      return tile.x.template Sub<kSub>(kSub * j);
    } else {
      return Neighbours{tile.blocks[lane] + kSub * j};
    }
  }
  HWY_INLINE typename N::F Shifted(typename N::F x, int j, int lane) const {
    if constexpr (kShifted) x = x + N::Set(Of(shift_, j, lane));
    return x;
  }

  // A division costs as much as ten multiplications, and the product with 1 / d, which is off by
  // 2^-22 of itself at most, rounds to the same level unless it is nearly half way between two of
  // them. Returns whether none is.
  QUERN_LANE bool ByInverse(const Tile<L>& tile, int lane, uint8_t* codes) const {
    using NF = typename N::F;
    const NF magic = N::Set(kRoundingMagic);
    // The sums' lowest bits are the levels, so their order is that of the levels.
    const auto low = N::Bits(N::Set(kRoundingMagic + kLow));
    const auto high = N::Bits(N::Set(kRoundingMagic + kHigh));
    auto farthest = N::SetI(0);
    for (int j = 0; j < kSubs; ++j) {
      const auto x = SubBlock(tile, j, lane);
      const NF inverse = N::Set(Of(inverse_, j, lane));
      for (int i = 0; i < kSub; i += N::kMax) {
        const NF quotient = Shifted(x[i], j, lane) * inverse;
        const NF rounded = quotient + magic;
        farthest = N::Max(N::Bits(N::Abs(quotient - (rounded - magic))), farthest);
        N::StoreBytes(N::Min(N::Max(N::Bits(rounded), low), high) - low, codes + kSub * j + i);
      }
    }
    return N::All(N::Less(farthest, N::Bits(N::Set(0.49997f))));
  }

  QUERN_LANE void ByDivision(const Tile<L>& tile, int lane, uint8_t* codes) const {
    for (int j = 0; j < kSubs; ++j) {
      const auto x = SubBlock(tile, j, lane);
      const float d = Of(d_, j, lane);
      for (int i = 0; d == 0 && i < kSub; ++i) {
        codes[kSub * j + i] = static_cast<uint8_t>(searched_[j].values[i * L::kMax + lane]);
      }
      for (int i = 0; d != 0 && i < kSub; i += N::kMax) {
        const auto level = NearestInt<N>(Shifted(x[i], j, lane) / N::Set(d));
        N::StoreBytes(Clamp<N>(level, kLow, kHigh) - N::SetI(kLow), codes + kSub * j + i);
      }
    }
  }

  Floats<L, kSubs> d_, inverse_, shift_;
  M sure_;                         // the blocks whose levels ByInverse may find
  Ints<L, kSub> searched_[kSubs];  // written where a d is 0
};

// Bytes from codes. Plain loops, which compilers vectorize.

// out[i] = two codes of four bits, for `count` bytes.
HWY_INLINE void JoinNibbles(const uint8_t* low, const uint8_t* high, int count, uint8_t* out) {
  for (int i = 0; i < count; ++i) {
    out[i] = static_cast<uint8_t>((low[i] & 15) | high[i] << 4);
  }
}

// Bits kShift and kShift + 1 of codes i + {0, 32, 64, 96} in byte i of 32.
template <int kShift>
HWY_INLINE void JoinPairs(const uint8_t* codes, uint8_t* out) {
  const auto pair = [codes](int i) { return (codes[i] >> kShift) & 3; };
  for (int i = 0; i < 32; ++i) {
    out[i] =
        static_cast<uint8_t>(pair(i) | pair(i + 32) << 2 | pair(i + 64) << 4 | pair(i + 96) << 6);
  }
}

// Bit kShift, the highest, of codes 32 * b + i in bit b of byte i of 32.
template <int kShift>
HWY_INLINE void JoinTops(const uint8_t* codes, uint8_t* out) {
  for (int i = 0; i < 32; ++i) {
    int bits = 0;
    for (int b = 0; b < 8; ++b) bits |= (codes[32 * b + i] >> kShift) << b;
    out[i] = static_cast<uint8_t>(bits);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
