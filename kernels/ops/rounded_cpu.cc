#include <algorithm>

#include "kernels/ops/avx512.h"
#include "kernels/ops/rounded.h"

#if QUERN_HAS_VNNI

namespace quern {
namespace {

constexpr int64_t kRun = 256;

// Rounds x[count], a multiple of 16 and at most 256, to codes that share one scale.
QUERN_VNNI float RoundTogether(const float* x, int64_t count, int8_t* codes) {
  __m512 largest = _mm512_setzero_ps();
  for (int64_t i = 0; i < count; i += 16) {
    largest = _mm512_max_ps(largest, _mm512_abs_ps(_mm512_loadu_ps(x + i)));
  }
  const float most = _mm512_reduce_max_ps(largest);
  const __m512 inverse = _mm512_set1_ps(most > 0 ? 127.0f / most : 0.0f);
  for (int64_t i = 0; i < count; i += 16) {
    const __m512i whole = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x + i), inverse));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(codes + i), _mm512_cvtsepi32_epi8(whole));
  }
  return most / 127.0f;
}

QUERN_VNNI void SumCodes(const int8_t* codes, int32_t* sums16, int32_t* sums32) {
  const __m512i ones = _mm512_set1_epi8(1);
  alignas(64) int32_t quads[64];
  for (int v = 0; v < 4; ++v) {
    _mm512_store_si512(quads + 16 * v, _mm512_dpbusd_epi32(_mm512_setzero_si512(), ones,
                                                           _mm512_loadu_si512(codes + 64 * v)));
  }
  for (int g = 0; g < 16; ++g) {
    sums16[g] = quads[4 * g] + quads[4 * g + 1] + quads[4 * g + 2] + quads[4 * g + 3];
  }
  for (int g = 0; g < 8; ++g) sums32[g] = sums16[2 * g] + sums16[2 * g + 1];
}

}  // namespace

RoundedActivations::RoundedActivations(const float* x, int64_t tokens, int64_t cols,
                                       bool scale_per_32)
    : tokens_(tokens),
      padded_((tokens + kTokenStep - 1) / kTokenStep * kTokenStep),
      runs_((cols + kRun - 1) / kRun),
      codes_(static_cast<size_t>(runs_ * padded_ * kRun)),
      scales_(static_cast<size_t>(runs_ * padded_ * 8)),
      sums16_(static_cast<size_t>(runs_ * padded_ * 16)),
      sums32_(static_cast<size_t>(runs_ * padded_ * 8)) {
  ParallelFor(tokens, 16, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) RoundToken(x + t * cols, cols, scale_per_32, t);
  });
}

void RoundedActivations::RoundToken(const float* x, int64_t cols, bool scale_per_32,
                                    int64_t token) {
  for (int64_t run = 0; run < runs_; ++run) {
    const int64_t count = std::min(kRun, cols - run * kRun), at = run * padded_ + token;
    const float* from = x + run * kRun;
    int8_t* codes = codes_.data() + at * kRun;
    float* scales = scales_.data() + at * 8;
    if (scale_per_32) {
      for (int64_t g = 0; g < count / 32; ++g) {
        scales[g] = RoundTogether(from + 32 * g, 32, codes + 32 * g);
      }
    } else {
      std::fill_n(scales, 8, RoundTogether(from, count, codes));
    }
    SumCodes(codes, sums16_.data() + at * 16, sums32_.data() + at * 8);
  }
}

}  // namespace quern

#endif
