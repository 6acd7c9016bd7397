// Included once per target.
#if defined(QUERN_KERNELS_ENCODE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_ENCODE_INL_H_
#undef QUERN_KERNELS_ENCODE_INL_H_
#else
#define QUERN_KERNELS_ENCODE_INL_H_
#endif

#include <algorithm>
#include <cstring>
#include <vector>

#include "kernels/encode.h"
#include "kernels/lane.h"
#include "kernels/lane_highway-inl.h"
#include "kernels/lane_pair-inl.h"
#include "kernels/tile-inl.h"

// Hands the blocks of some rows to a format's Encode, a lane's width at a time.

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// Pointers to the same element of the lanes' blocks; the lanes beyond the last block repeat it, and
// their results are not written.
template <class L>
struct LanePointers {
  const float* at[L::kMax];
};

// `count` weights from each lane's pointer, interleaved into `scratch`; one lane reads in place.
template <class L>
In<L> InterleaveLanes(const LanePointers<L>& from, int count, float* scratch) {
  if constexpr (L::kMax == 1) {
    return In<L>{from.at[0]};
  } else {
    L::Interleave(from.at, count, scratch);
    return In<L>{scratch};
  }
}

// means[row] = mean of x^2 over the row, summed from left to right; a lane per row.
template <class L>
void RowMeans(const EncodeJob& job, std::vector<float>& means) {
  constexpr int kChunk = 32;
  means.resize(static_cast<size_t>((job.rows + L::kMax - 1) / L::kMax * L::kMax));
  alignas(64) float scratch[kChunk * L::kMax];
  for (int64_t row = 0; row < job.rows; row += L::kMax) {
    LanePointers<L> from;
    typename L::F sum = L::Set(0);
    for (int64_t col = 0; col < job.cols; col += kChunk) {
      for (int lane = 0; lane < L::kMax; ++lane) {
        from.at[lane] = job.in + std::min(row + lane, job.rows - 1) * job.cols + col;
      }
      const In<L> x = InterleaveLanes<L>(from, kChunk, scratch);
      for (int i = 0; i < kChunk; ++i) sum = sum + x[i] * x[i];
    }
    L::StoreNear(sum / L::Set(static_cast<float>(job.cols)), means.data() + row);
  }
}

// Whether the format encodes many blocks at once that have no importance weights; a single lane has
// nothing to gain by it.
template <class Format, class L>
constexpr bool TakesManyPlain() {
  return L::kMax > 1 && requires { &Format::template EncodePlain<L>; };
}

template <class Format, class L>
void EncodeBlocks(const EncodeJob& job) {
  constexpr int kElems = Format::kElems;
  constexpr size_t kBytes = sizeof(typename Format::Block);
  const int64_t per_row = job.cols / kElems;
  const int64_t blocks = job.rows * per_row;
  const bool weighted = job.importance != nullptr;
  if constexpr (TakesManyPlain<Format, L>()) {
    if (!weighted) return Format::template EncodePlain<L>(job.in, blocks, job.out);
  }
  std::vector<float> means;
  if (Format::kRowMean && weighted) RowMeans<L>(job, means);

  alignas(64) float x_scratch[kElems * L::kMax];
  alignas(64) float importance_scratch[kElems * L::kMax];
  alignas(64) float lane_means[L::kMax];
  for (int64_t first = 0; first < blocks; first += L::kMax) {
    LanePointers<L> x, importance;
    for (int lane = 0; lane < L::kMax; ++lane) {
      const int64_t block = std::min(first + lane, blocks - 1);
      x.at[lane] = job.in + block * kElems;
      if (weighted) importance.at[lane] = job.importance + block % per_row * kElems;
      if (!means.empty()) lane_means[lane] = means[static_cast<size_t>(block / per_row)];
    }
    Tile<L> tile{.x = InterleaveLanes<L>(x, kElems, x_scratch),
                 .importance = {},
                 .weighted = weighted,
                 .row_mean_x2 = means.empty() ? L::Set(0) : L::Load(lane_means),
                 .grid = {},
                 .blocks = x.at,
                 .out = {job.out + static_cast<size_t>(first) * kBytes, kBytes,
                         static_cast<int>(std::min<int64_t>(L::kMax, blocks - first))}};
    if (weighted) tile.importance = InterleaveLanes<L>(importance, kElems, importance_scratch);
    if constexpr (requires { Format::kHasGrid; }) tile.grid = ViewOf(GridTableOf(Format::kType));
    Format::template Encode<L>(tile);
  }
}

template <class Format>
void DecodeBlocks(const uint8_t* in, int64_t count, float* out) {
  for (int64_t i = 0; i < count / Format::kElems; ++i) {
    typename Format::Block block;
    std::memcpy(&block, in + static_cast<size_t>(i) * sizeof(block), sizeof(block));
    Format::Decode(block, out + i * Format::kElems);
  }
}

// A format of single numbers does without blocks: it has EncodeAll, unless it is only read, and
// DecodeAll.
template <class Format, class L>
constexpr bool IsWhole() {
  return requires { &Format::template DecodeAll<L>; };
}
template <class Format, class L>
constexpr bool IsEncoded() {
  return !IsWhole<Format, L>() || requires { &Format::template EncodeAll<L>; };
}

template <class Format, class L>
bool TryEncode(Type type, const EncodeJob& job) {
  if (type != Format::kType) return false;
  if constexpr (!IsWhole<Format, L>()) {
    EncodeBlocks<Format, L>(job);
  } else if constexpr (IsEncoded<Format, L>()) {
    Format::template EncodeAll<L>(job.in, job.rows * job.cols, job.out);
  }
  return true;
}

template <class Format, class L>
bool TryDecode(Type type, const uint8_t* in, int64_t count, float* out) {
  if (type != Format::kType) return false;
  if constexpr (IsWhole<Format, L>()) {
    Format::template DecodeAll<L>(in, count, out);
  } else {
    DecodeBlocks<Format>(in, count, out);
  }
  return true;
}

// The family of these formats, encoded with lanes L.
template <class L, class... Formats>
Family FamilyOf() {
  return {
      .encodes =
          [](Type type) { return ((type == Formats::kType && IsEncoded<Formats, L>()) || ...); },
      .decodes = [](Type type) { return ((type == Formats::kType) || ...); },
      .encode = [](Type type, const EncodeJob& job)
                    HWY_ATTR { static_cast<void>((TryEncode<Formats, L>(type, job) || ...)); },
      .decode =
          [](Type type, const uint8_t* in, int64_t count, float* out) HWY_ATTR {
            static_cast<void>((TryDecode<Formats, L>(type, in, count, out) || ...));
          }};
}

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
