// Byte dot products by AVX-512 VNNI. Highway 1.0 has no name for the instruction, so its intrinsics
// stand here, each function marked with the instruction set; nothing else of the program is built
// for it. Sums may be reordered: nothing of this decides the bytes of a quantized file.
#include "kernels/ops/matmul_codes.h"

#if defined(__x86_64__)

#if !defined(__clang__)
// GCC 12 takes the undefined vectors inside its own intrinsics for a fault (bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

#include <hwy/highway.h>
#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/error.h"
#include "base/parallel.h"

#define QUERN_VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,fma")))
#define QUERN_CODES_TARGET QUERN_VNNI
#include "kernels/ops/codes.h"

namespace quern {
namespace {

// A panel is two vectors of tokens. Six weight rows by two vectors are 12 integer and 12 float
// accumulators, of 32 registers.
constexpr int64_t kPanel = 32;
constexpr int64_t kMicroRows = 6;
// Rows that a thread unpacks at once: 48 runs of 256 codes are 12 KB.
constexpr int64_t kTileRows = 48;
// Up to so many tokens rows are met one by one, for want of a panel.
constexpr int64_t kFewTokens = 8;

constexpr int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

// 256 activations as integers: x = scale * code, and the sums of each 16 codes.
struct RoundedRun {
  alignas(64) int8_t codes[kRun];
  float scales[8];  // of each 32; the same in all where there is one per 256
  int32_t sums[kRunGroups];
};

// Rounds `count` activations, a multiple of 32; the rest of the run is zero.
QUERN_VNNI void Round(const float* x, int64_t count, bool scale_per_32, RoundedRun& run) {
  const int64_t step = scale_per_32 ? 32 : kRun;
  for (int64_t start = 0; start < kRun; start += step) {
    float largest = 0;
    const int64_t end = std::min(start + step, count);
    for (int64_t i = start; i < end; ++i) largest = std::max(largest, std::fabs(x[i]));
    const float scale = largest / 127.0f, inverse = largest > 0 ? 127.0f / largest : 0.0f;
    for (int64_t g = start / 32; g < (start + step) / 32; ++g) run.scales[g] = scale;
    const __m512 factor = _mm512_set1_ps(inverse);
    for (int64_t i = start; i < start + step; i += 16) {
      const __m512 v = i < end ? _mm512_loadu_ps(x + i) : _mm512_setzero_ps();
      const __m512i codes = _mm512_cvtps_epi32(_mm512_mul_ps(v, factor));
      _mm_store_si128(reinterpret_cast<__m128i*>(run.codes + i), _mm512_cvtsepi32_epi8(codes));
      run.sums[i / 16] = _mm512_reduce_add_epi32(codes);
    }
  }
}

// The activations of a batch in panels, laid out as the micro-kernel reads them.
class Panels {
 public:
  Panels(const float* x, int64_t tokens, int64_t cols, bool scale_per_32)
      : runs_(CeilDiv(cols, kRun)),
        codes_(static_cast<size_t>(CeilDiv(tokens, kPanel) * runs_ * kRun * kPanel)),
        scales_(static_cast<size_t>(CeilDiv(tokens, kPanel) * runs_ * 8 * kPanel)),
        sums_(static_cast<size_t>(CeilDiv(tokens, kPanel) * runs_ * kRunGroups * kPanel)) {
    ParallelFor(CeilDiv(tokens, kPanel), 1, [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p) Fill(x, tokens, cols, scale_per_32, p);
    });
  }
  // [64 quads of columns][32 tokens][4], [8 groups of 32][32 tokens] and [16 groups][32 tokens].
  const int8_t* codes(int64_t panel, int64_t run) const {
    return codes_.data() + (panel * runs_ + run) * kRun * kPanel;
  }
  const float* scales(int64_t panel, int64_t run) const {
    return scales_.data() + (panel * runs_ + run) * 8 * kPanel;
  }
  const int32_t* sums(int64_t panel, int64_t run) const {
    return sums_.data() + (panel * runs_ + run) * kRunGroups * kPanel;
  }

 private:
  void Fill(const float* x, int64_t tokens, int64_t cols, bool scale_per_32, int64_t panel) {
    RoundedRun rounded;
    const int64_t count = std::min(kPanel, tokens - panel * kPanel);
    for (int64_t r = 0; r < runs_; ++r) {
      int8_t* codes = codes_.data() + (panel * runs_ + r) * kRun * kPanel;
      float* scales = scales_.data() + (panel * runs_ + r) * 8 * kPanel;
      int32_t* sums = sums_.data() + (panel * runs_ + r) * kRunGroups * kPanel;
      for (int64_t t = 0; t < count; ++t) {
        Round(x + (panel * kPanel + t) * cols + r * kRun, std::min<int64_t>(kRun, cols - r * kRun),
              scale_per_32, rounded);
        for (int64_t q = 0; q < kRun / 4; ++q) {
          std::memcpy(codes + (q * kPanel + t) * 4, rounded.codes + q * 4, 4);
        }
        for (int64_t g = 0; g < 8; ++g) scales[g * kPanel + t] = rounded.scales[g];
        for (int64_t g = 0; g < kRunGroups; ++g) sums[g * kPanel + t] = rounded.sums[g];
      }
    }
  }

  int64_t runs_;
  std::vector<int8_t> codes_;
  std::vector<float> scales_;
  std::vector<int32_t> sums_;
};

// A run of each row of a tile.
struct Tile {
  alignas(64) uint8_t codes[kTileRows][kRun];
  float scales[kTileRows][kRunGroups];
  float minima[kTileRows][kRunGroups];
};

// The sums of one group's activations for 16 tokens at `lane`.
template <int kGroup>
QUERN_VNNI inline __m512i GroupSums(const int32_t* sums, int group, int lane) {
  const int32_t* at = sums + group * (kGroup / kLeastGroup) * kPanel + lane;
  const __m512i first = _mm512_loadu_si512(at);
  return kGroup == 16 ? first : _mm512_add_epi32(first, _mm512_loadu_si512(at + kPanel));
}

// y[6, 32] += tile rows [row, row + 6) times one run of a panel.
template <class C>
QUERN_VNNI inline void MicroKernel(const Tile& tile, int64_t row, int groups, const int8_t* x,
                                   const float* scales, const int32_t* sums, float* y) {
  constexpr int kRows = static_cast<int>(kMicroRows);
  __m512 total[kRows][2];
#pragma GCC unroll 6
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < 2; ++v) {
      total[r][v] = C::kScalePer32 ? _mm512_loadu_ps(y + r * kPanel + 16 * v) : _mm512_setzero_ps();
    }
  }
  for (int g = 0; g < groups; ++g) {
    const __m512i sum0 = GroupSums<C::kGroup>(sums, g, 0), sum1 = GroupSums<C::kGroup>(sums, g, 16);
    const __m512i bias = _mm512_set1_epi32(-C::kBias);
    const __m512i start0 = C::kBias ? _mm512_mullo_epi32(sum0, bias) : _mm512_setzero_si512();
    const __m512i start1 = C::kBias ? _mm512_mullo_epi32(sum1, bias) : _mm512_setzero_si512();
    __m512i dot[kRows][2];
#pragma GCC unroll 6
    for (int r = 0; r < kRows; ++r) {
      dot[r][0] = start0;
      dot[r][1] = start1;
    }
#pragma GCC unroll 8
    for (int q = 0; q < C::kGroup / 4; ++q) {
      const int8_t* quad = x + (g * (C::kGroup / 4) + q) * kPanel * 4;
      const __m512i x0 = _mm512_loadu_si512(quad), x1 = _mm512_loadu_si512(quad + 64);
#pragma GCC unroll 6
      for (int r = 0; r < kRows; ++r) {
        int32_t four;
        std::memcpy(&four, &tile.codes[row + r][g * C::kGroup + 4 * q], 4);
        const __m512i w = _mm512_set1_epi32(four);
        dot[r][0] = _mm512_dpbusd_epi32(dot[r][0], w, x0);
        dot[r][1] = _mm512_dpbusd_epi32(dot[r][1], w, x1);
      }
    }
    __m512 sumf0 = _mm512_cvtepi32_ps(sum0), sumf1 = _mm512_cvtepi32_ps(sum1);
    __m512 scale0{}, scale1{};
    if constexpr (C::kScalePer32) {
      scale0 = _mm512_loadu_ps(scales + g * kPanel);
      scale1 = _mm512_loadu_ps(scales + g * kPanel + 16);
      sumf0 = _mm512_mul_ps(sumf0, scale0);
      sumf1 = _mm512_mul_ps(sumf1, scale1);
    }
#pragma GCC unroll 6
    for (int r = 0; r < kRows; ++r) {
      __m512 dot0 = _mm512_cvtepi32_ps(dot[r][0]), dot1 = _mm512_cvtepi32_ps(dot[r][1]);
      if constexpr (C::kScalePer32) {
        dot0 = _mm512_mul_ps(dot0, scale0);
        dot1 = _mm512_mul_ps(dot1, scale1);
      }
      const __m512 scale = _mm512_set1_ps(tile.scales[row + r][g]);
      total[r][0] = _mm512_fmadd_ps(scale, dot0, total[r][0]);
      total[r][1] = _mm512_fmadd_ps(scale, dot1, total[r][1]);
      if constexpr (C::kMinima) {
        const __m512 minimum = _mm512_set1_ps(tile.minima[row + r][g]);
        total[r][0] = _mm512_fnmadd_ps(minimum, sumf0, total[r][0]);
        total[r][1] = _mm512_fnmadd_ps(minimum, sumf1, total[r][1]);
      }
    }
  }
#pragma GCC unroll 6
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < 2; ++v) {
      float* to = y + r * kPanel + 16 * v;
      if constexpr (C::kScalePer32) {
        _mm512_storeu_ps(to, total[r][v]);
      } else {
        const __m512 scale = _mm512_loadu_ps(scales + 16 * v);
        _mm512_storeu_ps(to, _mm512_fmadd_ps(scale, total[r][v], _mm512_loadu_ps(to)));
      }
    }
  }
}

// The blocks of run r of a row: the first, and how many there are.
template <class Block>
const Block* BlocksOfRun(const Matrix& w, int64_t row, int64_t run, int& blocks) {
  constexpr int64_t kPerRun = kRun / Codes<Block>::kBlock;
  blocks = static_cast<int>(std::min(kPerRun, w.cols / Codes<Block>::kBlock - run * kPerRun));
  return reinterpret_cast<const Block*>(w.row(row)) + run * kPerRun;
}

// c[panels][kTileRows][kPanel] of the rows [first, first + rows).
template <class Block>
QUERN_VNNI void TileProduct(const Matrix& w, int64_t first, int64_t rows, const Panels& panels,
                            int64_t panel_count, Tile& tile, float* c) {
  using C = Codes<Block>;
  std::fill_n(c, panel_count * kTileRows * kPanel, 0.0f);
  for (int64_t run = 0; run < CeilDiv(w.cols, kRun); ++run) {
    int blocks = 0;
    for (int64_t r = 0; r < rows; ++r) {
      const Block* from = BlocksOfRun<Block>(w, first + r, run, blocks);
      C::Unpack(from, blocks, tile.codes[r], tile.scales[r], tile.minima[r]);
    }
    const int groups = blocks * C::kBlock / C::kGroup;
    for (int64_t p = 0; p < panel_count; ++p) {
      for (int64_t r = 0; r < rows; r += kMicroRows) {
        MicroKernel<C>(tile, r, groups, panels.codes(p, run), panels.scales(p, run),
                       panels.sums(p, run), c + (p * kTileRows + r) * kPanel);
      }
    }
  }
}

// Writes a tile's sums to y[tokens, all rows of w].
void StoreTile(const float* c, int64_t first, int64_t rows, int64_t tokens, int64_t stride,
               float* y) {
  for (int64_t t = 0; t < tokens; ++t) {
    const float* from = c + t / kPanel * kTileRows * kPanel + t % kPanel;
    float* to = y + t * stride + first;
    for (int64_t r = 0; r < rows; ++r) to[r] = from[r * kPanel];
  }
}

// One token's activations as rows meet them: scales per group of the type, sums times scale, and
// what a bias adds to each lane of four codes.
struct RoundedToken {
  std::vector<int8_t> codes;
  std::vector<float> scales, sums;  // [runs][16], by groups of the type
  std::vector<int32_t> starts;      // [runs][64]
};

template <class C>
RoundedToken RoundToken(const float* x, int64_t cols) {
  const int64_t runs = CeilDiv(cols, kRun);
  RoundedToken token;
  token.codes.resize(static_cast<size_t>(runs * kRun));
  token.scales.resize(static_cast<size_t>(runs * kRunGroups));
  token.sums.resize(static_cast<size_t>(runs * kRunGroups));
  token.starts.resize(static_cast<size_t>(runs * kRun / 4));
  RoundedRun run;
  for (int64_t r = 0; r < runs; ++r) {
    Round(x + r * kRun, std::min<int64_t>(kRun, cols - r * kRun), C::kScalePer32, run);
    std::memcpy(token.codes.data() + r * kRun, run.codes, kRun);
    for (int g = 0; g < kRun / C::kGroup; ++g) {
      const auto at = static_cast<size_t>(r * kRunGroups + g);
      constexpr int kSums = C::kGroup / kLeastGroup;
      int32_t sum = 0;
      for (int i = 0; i < kSums; ++i) sum += run.sums[g * kSums + i];
      token.scales[at] = run.scales[g * C::kGroup / 32];
      token.sums[at] = token.scales[at] * static_cast<float>(sum);
    }
    for (int64_t q = 0; q < kRun / 4; ++q) {
      int32_t sum = 0;
      for (int i = 0; i < 4; ++i) sum += run.codes[4 * q + i];
      token.starts[static_cast<size_t>(r * kRun / 4 + q)] = -C::kBias * sum;
    }
  }
  return token;
}

// The dot product of one row's blocks with each token.
template <class Block>
QUERN_VNNI void RowProducts(const Matrix& w, int64_t row, std::span<const RoundedToken> tokens,
                            float* sums) {
  using C = Codes<Block>;
  // Lane i of a vector of 64 codes is of group i / 8 where groups are 32, of i / 4 where 16.
  const __m512i lanes = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  const __m512i group_of_lane = _mm512_srli_epi32(lanes, C::kGroup == 32 ? 3 : 2);
  const __m512i groups_per_vector = _mm512_set1_epi32(64 / C::kGroup);
  alignas(64) uint8_t codes[kRun] = {};
  alignas(64) float scales[kRunGroups] = {}, minima[kRunGroups] = {};
  __m512 totals[kFewTokens];
  for (size_t t = 0; t < tokens.size(); ++t) totals[t] = _mm512_setzero_ps();
  for (int64_t run = 0; run < CeilDiv(w.cols, kRun); ++run) {
    int blocks = 0;
    const Block* from = BlocksOfRun<Block>(w, row, run, blocks);
    C::Unpack(from, blocks, codes, scales, minima);
    if (blocks * C::kBlock < kRun) {
      std::fill(scales + blocks * C::kBlock / C::kGroup, scales + kRunGroups, 0.0f);
      std::fill(minima + blocks * C::kBlock / C::kGroup, minima + kRunGroups, 0.0f);
    }
    for (size_t t = 0; t < tokens.size(); ++t) {
      const RoundedToken& token = tokens[t];
      const int8_t* x = token.codes.data() + run * kRun;
      const int32_t* starts = token.starts.data() + run * kRun / 4;
      const __m512 both = _mm512_mul_ps(_mm512_load_ps(scales),
                                        _mm512_loadu_ps(token.scales.data() + run * kRunGroups));
      __m512i group = group_of_lane;
#pragma GCC unroll 4
      for (int v = 0; v < 4; ++v) {
        const __m512i start =
            C::kBias ? _mm512_loadu_si512(starts + 16 * v) : _mm512_setzero_si512();
        const __m512i dot = _mm512_dpbusd_epi32(start, _mm512_load_si512(codes + 64 * v),
                                                _mm512_loadu_si512(x + 64 * v));
        totals[t] =
            _mm512_fmadd_ps(_mm512_permutexvar_ps(group, both), _mm512_cvtepi32_ps(dot), totals[t]);
        group = _mm512_add_epi32(group, groups_per_vector);
      }
      if constexpr (C::kMinima) {
        totals[t] =
            _mm512_fnmadd_ps(_mm512_load_ps(minima),
                             _mm512_loadu_ps(token.sums.data() + run * kRunGroups), totals[t]);
      }
    }
  }
  for (size_t t = 0; t < tokens.size(); ++t) sums[t] = _mm512_reduce_add_ps(totals[t]);
}

// What MatMulCodes needs of a type, found once per product.
struct TypeKernels {
  bool scale_per_32;
  void (*tile)(const Matrix&, int64_t, int64_t, const Panels&, int64_t, Tile&, float*);
  void (*row)(const Matrix&, int64_t, std::span<const RoundedToken>, float*);
  RoundedToken (*round)(const float*, int64_t);
};

template <class Block>
constexpr TypeKernels KernelsFor() {
  return {Codes<Block>::kScalePer32, TileProduct<Block>, RowProducts<Block>,
          RoundToken<Codes<Block>>};
}

const TypeKernels* KernelsOf(Type type) {
  switch (type) {
#define QUERN_CODE_TYPE(name)                                          \
  case Type::k##name: {                                                \
    static constexpr TypeKernels kKernels = KernelsFor<Block##name>(); \
    return &kKernels;                                                  \
  }
    QUERN_CODE_TYPE(Q4_0)
    QUERN_CODE_TYPE(Q4_1)
    QUERN_CODE_TYPE(Q5_0)
    QUERN_CODE_TYPE(Q5_1)
    QUERN_CODE_TYPE(Q8_0)
    QUERN_CODE_TYPE(Q2_K)
    QUERN_CODE_TYPE(Q3_K)
    QUERN_CODE_TYPE(Q4_K)
    QUERN_CODE_TYPE(Q5_K)
    QUERN_CODE_TYPE(Q6_K)
    QUERN_CODE_TYPE(IQ4_NL)
    QUERN_CODE_TYPE(IQ4_XS)
#undef QUERN_CODE_TYPE
    default:
      return nullptr;
  }
}

void MatMulFew(std::span<const Product> products, const float* x, int64_t tokens, int64_t cols) {
  for (const Product& product : products) {
    const Matrix& w = *product.w;
    const TypeKernels& kernels = *KernelsOf(w.type);
    std::vector<RoundedToken> rounded;
    for (int64_t t = 0; t < tokens; ++t) rounded.push_back(kernels.round(x + t * cols, cols));
    const int64_t grain = std::max<int64_t>(1, 262144 / cols);
    ParallelFor(w.rows, grain, [&](int64_t begin, int64_t end) {
      float sums[kFewTokens];
      for (int64_t r = begin; r < end; ++r) {
        kernels.row(w, r, rounded, sums);
        for (int64_t t = 0; t < tokens; ++t) product.y[t * w.rows + r] = sums[t];
      }
    });
  }
}

void MatMulMany(std::span<const Product> products, const float* x, int64_t tokens, int64_t cols,
                bool scale_per_32) {
  struct Work {
    const Product* product;
    int64_t first;
  };
  std::vector<Work> work;
  for (const Product& product : products) {
    if (KernelsOf(product.w->type)->scale_per_32 != scale_per_32) continue;
    for (int64_t r = 0; r < product.w->rows; r += kTileRows) work.push_back({&product, r});
  }
  if (work.empty()) return;
  const Panels panels(x, tokens, cols, scale_per_32);
  const int64_t panel_count = CeilDiv(tokens, kPanel);
  ParallelFor(std::ssize(work), 1, [&](int64_t begin, int64_t end) {
    const auto tile = std::make_unique<Tile>();
    std::vector<float> c(static_cast<size_t>(panel_count * kTileRows * kPanel));
    for (int64_t i = begin; i < end; ++i) {
      const auto [product, first] = work[static_cast<size_t>(i)];
      const Matrix& w = *product->w;
      const int64_t rows = std::min(kTileRows, w.rows - first);
      KernelsOf(w.type)->tile(w, first, rows, panels, panel_count, *tile, c.data());
      StoreTile(c.data(), first, rows, tokens, w.rows, product->y);
    }
  });
}

}  // namespace

bool HasCodeProducts(Type type) {
  static const bool machine =
      __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512dq");
  return machine && (hwy::SupportedTargets() & HWY_AVX3) != 0 && KernelsOf(type) != nullptr;
}

void MatMulCodes(std::span<const Product> products, const float* x, int64_t tokens, int64_t cols) {
  if (tokens <= kFewTokens) {
    MatMulFew(products, x, tokens, cols);
  } else {
    for (const bool scale_per_32 : {false, true}) {
      MatMulMany(products, x, tokens, cols, scale_per_32);
    }
  }
}

}  // namespace quern

#else

namespace quern {

bool HasCodeProducts(Type) { return false; }
void MatMulCodes(std::span<const Product>, const float*, int64_t, int64_t) {}

}  // namespace quern

#endif
