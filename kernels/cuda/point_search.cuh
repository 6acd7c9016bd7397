#pragma once

// How a CUDA thread finds the nearest of a grid's points (grid_search-inl.h).

#include "kernels/lane_cuda.cuh"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// Threads of a block that search grids.
inline constexpr int kGridThreads = 32;

// A thread's own kSlots floats. On a GPU they stand in shared memory, slot by slot for all threads:
// an array of a thread's own, with indices known only at run time, would lie in local memory, where
// threads with different indices read a line each.
template <int kSlots>
class ThreadSlots {
 public:
  // From one slot to the next; a place is a slot's index times this.
#ifdef __CUDA_ARCH__
  static constexpr uint32_t kStep = 4 * kGridThreads;
#else
  static constexpr uint32_t kStep = 4;
#endif

  HWY_INLINE float& At(uint32_t place) {
#ifdef __CUDA_ARCH__
    return *reinterpret_cast<float*>(Shared() + 4 * threadIdx.x + place);
#else
    return slots_[place / kStep];
#endif
  }
  // Of the slot whose index are `bits` bits of the code from `from` on.
  HWY_INLINE float Look(uint32_t first, uint32_t code, int from, int bits) {
    constexpr int kShift = kStep == 4 ? 2 : 7;
    static_assert(1u << kShift == kStep);
    const uint32_t moved = from < kShift ? code << (kShift - from) : code >> (from - kShift);
    const uint32_t mask = ((1u << bits) - 1) << kShift;
#ifdef __CUDA_ARCH__
    // The lowest bits are 0, so the thread's are added by an OR, which the mask goes together with.
    const uint32_t place = (moved & mask) | 4 * threadIdx.x;
    return *reinterpret_cast<float*>(Shared() + first * kStep + place);
#else
    return slots_[first + (moved & mask) / kStep];
#endif
  }

 private:
#ifdef __CUDA_ARCH__
  static HWY_INLINE char* Shared() {
    __shared__ float slots[kSlots * kGridThreads];
    return reinterpret_cast<char*>(slots);
  }
#else
  float slots_[kSlots];
#endif
};

// offer(word, from, listed) for the codes of a list, which are 16 bits of `word` from bit `from`
// on. Lists begin at multiples of eight and have full eights in memory; in the last of them
// `listed` tells which are of the list.
template <class Offer>
HWY_INLINE void ForCodes(const uint16_t* codes, int count, const Offer& offer) {
  static_assert(GridTable::kAlign == 8 && GridTable::kRun % 8 == 0);
  int n = 0;
  for (; n + 8 <= count; n += 8) {
    const Words<4> eight(codes + n);
    for (int k = 0; k < 8; ++k) offer(eight[k / 2], k % 2 * 16, true);
  }
  if (n == count) return;
  const Words<4> eight(codes + n);
  for (int half = 0; half < 8 && n + half < count; half += 4) {
    for (int k = half; k < half + 4; ++k) offer(eight[k / 2], k % 2 * 16, n + k < count);
  }
}

// Lists of four positions are short: a point's terms are made when it is looked at. Their levels
// always stand for the odd numbers, so in.levels is not asked.
template <>
struct NearestOf<CudaLane, 4> {
  static HWY_INLINE uint16_t Find(const TermInput& in, const uint16_t* codes,
                                  const GridTable::Choice& choice) {
    float best = kFarthest;
    uint32_t nearest = codes[0];
    ForCodes(codes, static_cast<int>(choice.count), [&](uint32_t word, int from, bool listed) {
      float distance = Term(in, 0, word >> from);
      for (int p = 1; p < 4; ++p) distance = distance + Term(in, p, word >> (from + 3 * p));
      if (listed && distance < best) {
        best = distance;
        nearest = word >> from;
      }
    });
    return static_cast<uint16_t>(nearest);
  }

 private:
  // Half of an odd number is made of the bits of 2^23 + level.
  static HWY_INLINE float Term(const TermInput& in, int p, uint32_t bits) {
    const int32_t sum = static_cast<int32_t>((bits & 7) | 0x4b000000);
    const float half = ScalarLane::FromBits(sum) - 8388607.5f;
    const float difference = (in.scale * 2) * half - in.x[p];
    return in.weights[p] * difference * difference;
  }
};

// In eight positions lists have up to some hundred points. So the terms of three, three and two
// positions are summed up for all their levels before, and a point's distance is the sum of three
// numbers. That is another order of additions, so its last bits may be others, and where these
// matter, which is rare, NearestPointScalar decides.
template <>
struct NearestOf<CudaLane, 8> {
  static HWY_INLINE uint16_t Find(const TermInput& in, const uint16_t* codes,
                                  const GridTable::Choice& choice) {
    const int count = static_cast<int>(choice.count);
    ThreadSlots<kSlots> sums;
    bool sure = FillThree(in, 0, kFirst, sums);
    sure &= FillThree(in, 3, kSecond, sums);
    sure &= FillTwo(in, 6, kThird, sums);
    float best = kFarthest, next = kFarthest;
    uint32_t nearest = 0;
    ForCodes(codes, count, [&](uint32_t word, int from, bool listed) {
      float distance = sums.Look(kFirst, word, from, 6) + sums.Look(kSecond, word, from + 6, 6) +
                       sums.Look(kThird, word, from + 12, 4);
      if (!listed) distance = kFarthest;
      const bool nearer = distance < best;
      next = fminf(next, fmaxf(best, distance));
      best = fminf(best, distance);
      nearest = nearer ? word >> from : nearest;
    });
    // Seven additions of numbers that are not negative, in any order, are off by 7 * 2^-24 of the
    // exact sum at most. So NearestPointScalar's sum of a point and this one's are off by 14 *
    // 2^-24 from each other, for two points that is 28, and the product is off by one more: with a
    // margin of 32 the same point is nearest there. All that where no product is denormal or
    // infinite.
    sure &= next > best * (1 + 0x1p-19f) && best > 1e-30f && best < 1e30f;
    if (!sure) return NearestPointScalar<8>(in, codes, count);
    return static_cast<uint16_t>(nearest);
  }

 private:
  // Slots by the bits of the levels, two for a position, whose highest level is 2.
  static constexpr int kThreeSlots = 2 + 2 * 4 + 2 * 16 + 1;
  static constexpr int kTwoSlots = 2 + 2 * 4 + 1;
  static constexpr int kFirst = 0, kSecond = kThreeSlots, kThird = 2 * kThreeSlots;
  static constexpr int kSlots = kThird + kTwoSlots;
  using Slots = ThreadSlots<kSlots>;

  // The terms of a position's levels; false where a weight is negative.
  struct Terms {
    float of[3];
    bool sure;

    HWY_INLINE Terms(const TermInput& in, int p) : sure(in.weights[p] >= 0) {
      for (int l = 0; l < 3; ++l) {
        const float difference = in.scale * in.levels[l] - in.x[p];
        of[l] = in.weights[p] * difference * difference;
      }
    }
  };

  static HWY_INLINE bool FillTwo(const TermInput& in, int p, int first, Slots& sums) {
    const Terms t0(in, p), t1(in, p + 1);
    for (int b = 0; b < 3; ++b) {
      for (int a = 0; a < 3; ++a) sums.At((first + a + 4 * b) * Slots::kStep) = t0.of[a] + t1.of[b];
    }
    return t0.sure & t1.sure;
  }
  static HWY_INLINE bool FillThree(const TermInput& in, int p, int first, Slots& sums) {
    const Terms t0(in, p), t1(in, p + 1), t2(in, p + 2);
    for (int b = 0; b < 3; ++b) {
      for (int a = 0; a < 3; ++a) {
        const float two = t0.of[a] + t1.of[b];
        for (int c = 0; c < 3; ++c) {
          sums.At((first + a + 4 * b + 16 * c) * Slots::kStep) = two + t2.of[c];
        }
      }
    }
    return t0.sure & t1.sure & t2.sure;
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();
