#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/ops/codes_avx512.h"
#include "kernels/ops/matmul.h"
#include "kernels/ops/rounded.h"

// Products of unpacked weights with rounded activations: of a tile of rows with many tokens, and of
// single rows with few. Sums may be reordered: nothing of this decides the bytes of a quantized
// file.
namespace quern {

// A tile is four vectors of rows, met by six tokens at a time: 24 accumulators, of 32 registers.
// One run of a tile is 16 KB, half of L1.
inline constexpr int kTileVectors = 4;
inline constexpr int64_t kTileRows = 16 * kTileVectors;
inline constexpr int kTokens = static_cast<int>(RoundedActivations::kTokenStep);
// Up to so many tokens meet the rows one by one: unpacking a tile costs more than it saves.
inline constexpr int64_t kFewTokens = 4;
// How far ahead rows are fetched, since the hardware stops at each page of 4 KB; and in how many
// places at once a thread reads for a single token: with 4 the memory gives 25 GB/s to 2 threads,
// with one 21.
inline constexpr int64_t kFetchAhead = 1024;
inline constexpr int kStreams = 4;

// A run of each row of a tile, rows innermost.
struct Tile {
  alignas(64) uint8_t codes[kRun / 4][kTileRows][4];
  alignas(64) float scales[16][kTileRows];   // by groups of the type
  alignas(64) float offsets[16][kTileRows];  // the first in row kOffsetLane
};

// What a micro-kernel needs of its tokens and one run.
template <class C>
struct TokenRun {
  const int8_t* codes;                      // [kTokens][kRun]
  const float* scales;                      // [kTokens][8]
  alignas(64) int32_t starts[kTokens][16];  // what the bias takes of each group's sum
  alignas(64) float sums[kTokens][16];      // of codes, by groups; with a scale per 32, scaled

  QUERN_VNNI_INLINE TokenRun(const RoundedActivations& x, int64_t run, int64_t token)
      : codes(x.codes(run, token)), scales(x.scales(run, token)) {
    const int32_t* from = C::kGroup == 16 ? x.sums16(run, token) : x.sums32(run, token);
    for (int t = 0; t < kTokens; ++t) {
      for (int g = 0; g < kRun / C::kGroup; ++g) {
        const int32_t sum = from[t * (kRun / C::kGroup) + g];
        if (C::kBias) starts[t][g] = -C::kBias * sum;
        const float scale = C::kScalePer32 ? scales[t * 8 + g * C::kGroup / 32] : 1.0f;
        if (C::kOffsets) sums[t][g] = scale * static_cast<float>(sum);
      }
    }
  }
};

// dots[token][vector] of group g: (codes - bias) times the tokens' codes.
template <class C>
QUERN_VNNI_INLINE void GroupDots(const Tile& tile, const TokenRun<C>& x, int g,
                                 __m512i (&dots)[kTokens][kTileVectors]) {
#pragma GCC unroll 6
  for (int t = 0; t < kTokens; ++t) {
    const __m512i start = C::kBias ? _mm512_set1_epi32(x.starts[t][g]) : _mm512_setzero_si512();
#pragma GCC unroll 4
    for (int r = 0; r < kTileVectors; ++r) dots[t][r] = start;
  }
  constexpr int kQuads = C::kGroup / 4;
#pragma GCC unroll 8
  for (int q = 0; q < kQuads; ++q) {
    __m512i w[kTileVectors];
#pragma GCC unroll 4
    for (int r = 0; r < kTileVectors; ++r) {
      w[r] = _mm512_load_si512(tile.codes[g * kQuads + q][16 * r]);
    }
#pragma GCC unroll 6
    for (int t = 0; t < kTokens; ++t) {
      const __m512i four = _mm512_set1_epi32(Load4(x.codes + t * kRun + g * C::kGroup + 4 * q));
#pragma GCC unroll 4
      for (int r = 0; r < kTileVectors; ++r) {
        dots[t][r] = _mm512_dpbusd_epi32(dots[t][r], w[r], four);
      }
    }
  }
}

// sums[kTokens][kTileRows] += offsets times the tokens' sums, over all groups.
template <class C>
QUERN_VNNI_INLINE void AddOffsets(const Tile& tile, int groups, const TokenRun<C>& x, float* sums) {
#pragma GCC unroll 2
  for (int half = 0; half < kTileVectors; half += 2) {
    __m512 total[kTokens][2];
#pragma GCC unroll 6
    for (int t = 0; t < kTokens; ++t) {
      total[t][0] = _mm512_loadu_ps(sums + t * kTileRows + 16 * half);
      total[t][1] = _mm512_loadu_ps(sums + t * kTileRows + 16 * half + 16);
    }
    for (int g = 0; g < groups; ++g) {
      const __m512 offset0 = _mm512_load_ps(&tile.offsets[C::kOffsetLane + g][16 * half]);
      const __m512 offset1 = _mm512_load_ps(&tile.offsets[C::kOffsetLane + g][16 * half + 16]);
#pragma GCC unroll 6
      for (int t = 0; t < kTokens; ++t) {
        const __m512 sum = _mm512_set1_ps(x.sums[t][g]);
        total[t][0] = _mm512_fmadd_ps(offset0, sum, total[t][0]);
        total[t][1] = _mm512_fmadd_ps(offset1, sum, total[t][1]);
      }
    }
#pragma GCC unroll 6
    for (int t = 0; t < kTokens; ++t) {
      _mm512_storeu_ps(sums + t * kTileRows + 16 * half, total[t][0]);
      _mm512_storeu_ps(sums + t * kTileRows + 16 * half + 16, total[t][1]);
    }
  }
}

// Fetches the part-th of `parts` equal parts of what comes next.
QUERN_VNNI_INLINE void FetchPart(const void* from, int bytes, int part, int parts) {
  const char* at = static_cast<const char*>(from) + bytes / parts * part;
  for (int i = 0; i < bytes / parts; i += 64) _mm_prefetch(at + i, _MM_HINT_T0);
}

// sums[kTokens][kTileRows] += part, each token's times its scale.
QUERN_VNNI_INLINE void AddScaled(const float* part, const float* token_scales, float* sums) {
#pragma GCC unroll 6
  for (int t = 0; t < kTokens; ++t) {
    const __m512 scale = _mm512_set1_ps(token_scales[8 * t]);
#pragma GCC unroll 4
    for (int r = 0; r < kTileVectors; ++r) {
      const int at = t * static_cast<int>(kTileRows) + 16 * r;
      _mm512_storeu_ps(
          sums + at, _mm512_fmadd_ps(_mm512_load_ps(part + at), scale, _mm512_loadu_ps(sums + at)));
    }
  }
}

// sums[kTokens][kTileRows] += the tile times one run of these tokens. Where a token has one scale
// for the run, it meets what the groups add up to, not each of them.
template <class C>
QUERN_VNNI void MicroKernel(const Tile& tile, int groups, const TokenRun<C>& x, float* sums) {
  alignas(64) float part[C::kScalePer32 ? 1 : kTokens * kTileRows];
  if constexpr (!C::kScalePer32) {
#pragma GCC unroll 24
    for (int i = 0; i < kTokens * kTileVectors; ++i) {
      _mm512_store_ps(part + 16 * i, _mm512_setzero_ps());
    }
  }
  float* const into = C::kScalePer32 ? sums : part;
  if constexpr (C::kOffsets) AddOffsets<C>(tile, groups, x, into);
  const float* const token_scales = x.scales;
  for (int g = 0; g < groups; ++g) {
    // Otherwise GCC carries the sums from group to group in copies on its stack.
    asm volatile("" ::: "memory");
    FetchPart(x.codes + kTokens * kRun, kTokens * kRun, g, kRun / C::kGroup);
    FetchPart(sums + kTokens * kTileRows, kTokens * kTileRows * 4, g, kRun / C::kGroup);
    __m512i dots[kTokens][kTileVectors];
    GroupDots<C>(tile, x, g, dots);
    __m512 scales[kTileVectors];
#pragma GCC unroll 4
    for (int r = 0; r < kTileVectors; ++r) scales[r] = _mm512_load_ps(&tile.scales[g][16 * r]);
#pragma GCC unroll 6
    for (int t = 0; t < kTokens; ++t) {
#pragma GCC unroll 4
      for (int r = 0; r < kTileVectors; ++r) {
        __m512 dot = _mm512_cvtepi32_ps(dots[t][r]);
        if constexpr (C::kScalePer32) {
          dot = _mm512_mul_ps(_mm512_set1_ps(token_scales[8 * t + g * C::kGroup / 32]), dot);
        }
        float* at = into + t * kTileRows + 16 * r;
        _mm512_storeu_ps(at, _mm512_fmadd_ps(dot, scales[r], _mm512_loadu_ps(at)));
      }
    }
  }
  if constexpr (!C::kScalePer32) AddScaled(part, token_scales, sums);
}

// Turns 16 x 16 elements of 4 bytes round: out + i * stride gets the i-th of every row.
QUERN_VNNI_INLINE void Transpose(const __m512i (&rows)[16], std::byte* out, int64_t stride) {
  __m512i a[16], b[16];
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {
    a[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
    a[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
  }
  // b[4 * i + k]: element 4 * lane + k of the rows 4 i .. 4 i + 3, in each lane of 128 bits.
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    b[4 * i] = _mm512_unpacklo_epi64(a[4 * i], a[4 * i + 2]);
    b[4 * i + 1] = _mm512_unpackhi_epi64(a[4 * i], a[4 * i + 2]);
    b[4 * i + 2] = _mm512_unpacklo_epi64(a[4 * i + 1], a[4 * i + 3]);
    b[4 * i + 3] = _mm512_unpackhi_epi64(a[4 * i + 1], a[4 * i + 3]);
  }
#pragma GCC unroll 4
  for (int k = 0; k < 4; ++k) {
    const __m512i even0 = _mm512_shuffle_i32x4(b[k], b[4 + k], 0x88);
    const __m512i odd0 = _mm512_shuffle_i32x4(b[k], b[4 + k], 0xdd);
    const __m512i even1 = _mm512_shuffle_i32x4(b[8 + k], b[12 + k], 0x88);
    const __m512i odd1 = _mm512_shuffle_i32x4(b[8 + k], b[12 + k], 0xdd);
    _mm512_storeu_si512(out + k * stride, _mm512_shuffle_i32x4(even0, even1, 0x88));
    _mm512_storeu_si512(out + (4 + k) * stride, _mm512_shuffle_i32x4(odd0, odd1, 0x88));
    _mm512_storeu_si512(out + (8 + k) * stride, _mm512_shuffle_i32x4(even0, even1, 0xdd));
    _mm512_storeu_si512(out + (12 + k) * stride, _mm512_shuffle_i32x4(odd0, odd1, 0xdd));
  }
}

// A row's blocks, run by run.
template <class Block>
class RowBlocks {
 public:
  static constexpr int64_t kPerRun = kRun / Codes<Block>::kBlock;

  QUERN_VNNI_INLINE RowBlocks(const Matrix& w, int64_t row)
      : count_(w.cols / Codes<Block>::kBlock),
        blocks_(reinterpret_cast<const Block*>(w.data) + row * count_) {}

  // kPerRun blocks: where they lie, or a copy in `filled` with zeros where the row ends within the
  // run.
  QUERN_VNNI_INLINE const Block* Run(int64_t run, Block* filled) const {
    const Block* from = blocks_ + run * kPerRun;
    const int64_t left = count_ - run * kPerRun;
    if (kPerRun == 1 || left >= kPerRun) return from;
    std::memset(filled, 0, sizeof(Block) * kPerRun);
    std::memcpy(filled, from, sizeof(Block) * static_cast<size_t>(left));
    return filled;
  }

 private:
  int64_t count_;
  const Block* blocks_;
};

template <class Block>
QUERN_VNNI void UnpackTile(const Matrix& w, int64_t first, int64_t rows, int64_t run, Tile& tile) {
  using C = Codes<Block>;
  Block filled[kRun / C::kBlock];
  alignas(64) __m512i codes[4][16], scales[16], offsets[16];
  for (int64_t r0 = 0; r0 < rows; r0 += 16) {
    for (int64_t r = 0; r < 16; ++r) {
      RunCodes unpacked;
      // Rows behind the last are sums that nobody reads.
      const int64_t row = first + std::min(r0 + r, rows - 1);
      C::Unpack(RowBlocks<Block>(w, row).Run(run, filled), unpacked);
      for (int v = 0; v < 4; ++v) codes[v][r] = unpacked.codes[v];
      scales[r] = _mm512_castps_si512(unpacked.scales);
      if constexpr (C::kOffsets) offsets[r] = _mm512_castps_si512(unpacked.offsets);
    }
    constexpr int64_t kStride = kTileRows * 4;
    for (int v = 0; v < 4; ++v) {
      Transpose(codes[v], reinterpret_cast<std::byte*>(tile.codes[16 * v][r0]), kStride);
    }
    Transpose(scales, reinterpret_cast<std::byte*>(&tile.scales[0][r0]), kStride);
    if constexpr (C::kOffsets) {
      Transpose(offsets, reinterpret_cast<std::byte*>(&tile.offsets[0][r0]), kStride);
    }
  }
}

// sums[padded tokens][kTileRows] of the rows [first, first + rows).
template <class Block>
QUERN_VNNI void TileProduct(const Matrix& w, int64_t first, int64_t rows,
                            const RoundedActivations& x, Tile& tile, float* sums) {
  using C = Codes<Block>;
  std::fill_n(sums, x.padded_tokens() * kTileRows, 0.0f);
  for (int64_t run = 0; run < x.runs(); ++run) {
    UnpackTile<Block>(w, first, rows, run, tile);
    const int groups = static_cast<int>(std::min<int64_t>(kRun, w.cols - run * kRun) / C::kGroup);
    for (int64_t t = 0; t < x.padded_tokens(); t += kTokens) {
      MicroKernel<C>(tile, groups, TokenRun<C>(x, run, t), sums + t * kTileRows);
    }
  }
}

// What rows need of one run of a token beside the codes.
struct alignas(64) RowInput {
  float scales[16] = {};  // by groups of the type
  float sums[16] = {};    // scale * sum of codes, from kOffsetLane on
  int32_t starts[64];     // what the bias takes of each four codes
};

// [runs][tokens]
template <class C>
QUERN_VNNI std::vector<RowInput> InputsOf(const RoundedActivations& x) {
  std::vector<RowInput> inputs(static_cast<size_t>(x.runs() * x.tokens()));
  RowInput* input = inputs.data();
  for (int64_t run = 0; run < x.runs(); ++run) {
    for (int64_t t = 0; t < x.tokens(); ++t, ++input) {
      const int32_t* sums = C::kGroup == 16 ? x.sums16(run, t) : x.sums32(run, t);
      for (int g = 0; g < kRun / C::kGroup; ++g) {
        input->scales[g] = x.scales(run, t)[g * C::kGroup / 32];
        input->sums[g + C::kOffsetLane] = input->scales[g] * static_cast<float>(sums[g]);
      }
      for (int v = 0; v < 4; ++v) {
        const __m512i sum = _mm512_dpbusd_epi32(_mm512_setzero_si512(), _mm512_set1_epi8(1),
                                                _mm512_loadu_si512(x.codes(run, t) + 64 * v));
        _mm512_store_si512(input->starts + 16 * v,
                           _mm512_mullo_epi32(sum, _mm512_set1_epi32(-C::kBias)));
      }
    }
  }
  return inputs;
}

// sums[kRows][tokens] of the rows row, row + apart, ...; kCount: of so many tokens, or 0 for any
// number up to kFewTokens.
template <class Block, int kCount, int kRows>
QUERN_VNNI_INLINE void RowProductsOf(const Matrix& w, int64_t row, int64_t apart,
                                     const RoundedActivations& x, const RowInput* input,
                                     float* sums) {
  using C = Codes<Block>;
  // Lane i of a vector of 64 codes is of group i / 8 where groups are 32, of i / 4 where 16.
  const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m512i group_of_lane = _mm512_srli_epi32(lanes, C::kGroup == 32 ? 3 : 2);
  const int64_t tokens = kCount > 0 ? kCount : x.tokens();
  Block filled[RowBlocks<Block>::kPerRun];
  __m512 totals[kRows][kCount > 0 ? kCount : kFewTokens][2];
  for (int r = 0; r < kRows; ++r) {
    for (int64_t t = 0; t < tokens; ++t) totals[r][t][0] = totals[r][t][1] = _mm512_setzero_ps();
  }
  for (int64_t run = 0; run < x.runs(); ++run, input += tokens) {
    const int8_t* codes = x.codes(run, 0);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      const Block* from = RowBlocks<Block>(w, row + r * apart).Run(run, filled);
      for (size_t ahead = 0; ahead < sizeof(filled); ahead += 64) {
        _mm_prefetch(reinterpret_cast<const char*>(from) + kFetchAhead + ahead, _MM_HINT_T0);
      }
      RunCodes unpacked;
      C::Unpack(from, unpacked);
      for (int64_t t = 0; t < tokens; ++t) {
        const RowInput& token = input[t];
        const __m512 both = _mm512_mul_ps(unpacked.scales, _mm512_load_ps(token.scales));
#pragma GCC unroll 4
        for (int v = 0; v < 4; ++v) {
          const __m512i start =
              C::kBias ? _mm512_load_si512(token.starts + 16 * v) : _mm512_setzero_si512();
          const __m512i dot = _mm512_dpbusd_epi32(start, unpacked.codes[v],
                                                  _mm512_loadu_si512(codes + t * kRun + 64 * v));
          const __m512i group =
              _mm512_add_epi32(group_of_lane, _mm512_set1_epi32(64 / C::kGroup * v));
          totals[r][t][v % 2] = _mm512_fmadd_ps(_mm512_permutexvar_ps(group, both),
                                                _mm512_cvtepi32_ps(dot), totals[r][t][v % 2]);
        }
        if constexpr (C::kOffsets) {
          totals[r][t][0] =
              _mm512_fmadd_ps(unpacked.offsets, _mm512_load_ps(token.sums), totals[r][t][0]);
        }
      }
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int64_t t = 0; t < tokens; ++t) {
      sums[r * tokens + t] = _mm512_reduce_add_ps(_mm512_add_ps(totals[r][t][0], totals[r][t][1]));
    }
  }
}

// y[tokens, w.rows] of the rows [first, first + rows), for at most kFewTokens. A single token meets
// the rows in as many streams at once as keep the memory busy.
template <class Block>
QUERN_VNNI void RowProducts(const Matrix& w, int64_t first, int64_t rows,
                            const RoundedActivations& x, const RowInput* input, float* y) {
  float sums[std::max<int64_t>(kFewTokens, kStreams)];
  int64_t done = first;
  if (x.tokens() == 1) {
    const int64_t apart = rows / kStreams;
    for (; done < first + apart; ++done) {
      RowProductsOf<Block, 1, kStreams>(w, done, apart, x, input, sums);
      for (int r = 0; r < kStreams; ++r) y[done + r * apart] = sums[r];
    }
    done = first + kStreams * apart;
  }
  for (; done < first + rows; ++done) {
    RowProductsOf<Block, 0, 1>(w, done, 0, x, input, sums);
    for (int64_t t = 0; t < x.tokens(); ++t) y[t * w.rows + done] = sums[t];
  }
}

}  // namespace quern
