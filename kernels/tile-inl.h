// Included once per target.
#if defined(QUERN_KERNELS_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_TILE_INL_H_
#undef QUERN_KERNELS_TILE_INL_H_
#else
#define QUERN_KERNELS_TILE_INL_H_
#endif

#include "kernels/formats/grid_table.h"
#include "kernels/lane.h"

// What an encoder gets and keeps: memory that is interleaved by lanes.

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// Scratch of N floats or ints per lane.
template <class L, int N>
struct Floats {
  alignas(64) float values[static_cast<size_t>(N) * L::kMax];
  HWY_INLINE typename L::F operator[](int i) const {
    return L::Load(values + static_cast<size_t>(i) * L::kMax);
  }
  HWY_INLINE void Set(int i, typename L::F v) {
    L::Store(v, values + static_cast<size_t>(i) * L::kMax);
  }
};
template <class L, int N>
struct Ints {
  alignas(64) int32_t values[static_cast<size_t>(N) * L::kMax];
  HWY_INLINE typename L::I operator[](int i) const {
    return L::LoadI(values + static_cast<size_t>(i) * L::kMax);
  }
  HWY_INLINE void Set(int i, typename L::I v) {
    L::StoreI(v, values + static_cast<size_t>(i) * L::kMax);
  }
};

// Lane-interleaved input: element i of every lane's block.
template <class L>
struct In {
  const float* values = nullptr;
  HWY_INLINE typename L::F operator[](int i) const {
    return L::Load(values + static_cast<size_t>(i) * L::kMax);
  }
  // Elements [i, i + N), to be read over and over: a CUDA thread has a type of its own for them.
  template <int N>
  HWY_INLINE In Sub(int i) const {
    return In{values + static_cast<size_t>(i) * L::kMax};
  }
  // Element i of one lane's block.
  HWY_INLINE float At(int i, int lane) const {
    return values[static_cast<size_t>(i) * L::kMax + static_cast<size_t>(lane)];
  }
};

// The blocks that the first `lanes` lanes write.
template <class L>
struct Out {
  uint8_t* bytes;
  size_t stride;  // bytes from one lane's block to the next
  int lanes;

  HWY_INLINE uint8_t* Block(int lane) const { return bytes + static_cast<size_t>(lane) * stride; }
  HWY_INLINE void Word(int offset, typename L::I v) const {
    L::template Scatter<4>(v, bytes + offset, stride, lanes);
  }
  HWY_INLINE void Half(int offset, typename L::I v) const {
    L::template Scatter<2>(v, bytes + offset, stride, lanes);
  }
  HWY_INLINE void Byte(int offset, typename L::I v) const {
    L::template Scatter<1>(v, bytes + offset, stride, lanes);
  }
};

// One block per lane, to be encoded.
template <class L>
struct Tile {
  In<L> x;           // the weights
  In<L> importance;  // their importance, where `weighted`
  bool weighted;
  typename L::F row_mean_x2;   // mean of x^2 over the block's whole row, for types with kRowMean
  GridView grid;               // the points to choose from, for types with kHasGrid
  const float* const* blocks;  // each lane's weights as they lie in memory; none for a single lane
  Out<L> out;
};

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
