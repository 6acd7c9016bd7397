// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_PACK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_PACK_INL_H_
#undef QUERN_KERNELS_FORMATS_PACK_INL_H_
#else
#define QUERN_KERNELS_FORMATS_PACK_INL_H_
#endif

#include "kernels/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// How levels, one int per weight, become the words of a block. kCount is a multiple of 4.

// Bytes of a block from `offset` on: level[low + b] | level[high + b] << 4.
template <class L, int kCount, class Levels>
HWY_INLINE void PackNibbles(const Out<L>& out, int offset, const Levels& levels, int low,
                            int high) {
  using I = typename L::I;
  const I mask = L::SetI(15);
  for (int b = 0; b < kCount; b += 4) {
    const auto byte = [&](int k) HWY_ATTR {
      return (levels[low + b + k] & mask) | L::template Shl<4>(levels[high + b + k] & mask);
    };
    out.Word(offset + b, byte(0) | L::template Shl<8>(byte(1)) | L::template Shl<16>(byte(2)) |
                             L::template Shl<24>(byte(3)));
  }
}

// Four bytes of a word, of which the lowest 8 bits count.
template <class L>
HWY_INLINE typename L::I JoinBytes(typename L::I b0, typename L::I b1, typename L::I b2,
                                   typename L::I b3) {
  const typename L::I mask = L::SetI(0xff);
  return (b0 & mask) | L::template Shl<8>(b1 & mask) | L::template Shl<16>(b2 & mask) |
         L::template Shl<24>(b3);
}

// The lowest 8 bits of kCount levels, one after the other.
template <class L, int kCount, class Levels>
HWY_INLINE void PackBytes(const Out<L>& out, int offset, const Levels& levels) {
  for (int b = 0; b < kCount; b += 4) {
    out.Word(offset + b, JoinBytes<L>(levels[b], levels[b + 1], levels[b + 2], levels[b + 3]));
  }
}

// Bit 4 of 32 levels, the first in the lowest bit.
template <class L, class Levels>
HWY_INLINE typename L::I FifthBits(const Levels& levels) {
  typename L::I bits = L::SetI(0);
  for (int i = 31; i >= 0; --i) {
    bits = L::template Shl<1>(bits) | (L::template Shr<4>(levels[i]) & L::SetI(1));
  }
  return bits;
}

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
