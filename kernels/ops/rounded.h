#pragma once

#include <cstdint>
#include <vector>

#include "base/parallel.h"

namespace quern {

// Activations x[tokens, cols] as integers of 8 bits, x = scale * code: the rounding that
// llama.cpp's products do. There is a scale per 256 of them or per 32. They lie in runs of 256
// columns, of which the last is filled with zeros, and the tokens are followed by zeros up to a
// multiple of kTokenStep.
class RoundedActivations {
 public:
  static constexpr int64_t kTokenStep = 6;

  // On all threads. The machine must have AVX-512 VNNI.
  RoundedActivations(const float* x, int64_t tokens, int64_t cols, bool scale_per_32);

  int64_t tokens() const { return tokens_; }
  int64_t padded_tokens() const { return padded_; }
  int64_t runs() const { return runs_; }

  // Of a run and this token, those of the next tokens behind it: [256], [8] of each 32, and the
  // sums of the codes [16] of each 16 and [8] of each 32.
  const int8_t* codes(int64_t run, int64_t token) const { return Of(codes_, 256, run, token); }
  const float* scales(int64_t run, int64_t token) const { return Of(scales_, 8, run, token); }
  const int32_t* sums16(int64_t run, int64_t token) const { return Of(sums16_, 16, run, token); }
  const int32_t* sums32(int64_t run, int64_t token) const { return Of(sums32_, 8, run, token); }

 private:
  template <class T>
  const T* Of(const std::vector<T>& all, int64_t width, int64_t run, int64_t token) const {
    return all.data() + (run * padded_ + token) * width;
  }
  void RoundToken(const float* x, int64_t cols, bool scale_per_32, int64_t token);

  int64_t tokens_, padded_, runs_;
  std::vector<int8_t> codes_;
  std::vector<float> scales_;
  std::vector<int32_t> sums16_, sums32_;
};

}  // namespace quern
