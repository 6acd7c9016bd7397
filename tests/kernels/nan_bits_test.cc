// The bits of a NaN differ between GPUs and x86, and the encoders look at bits: CudaLane::Bits sees
// to it. Here they run over a lane whose arithmetic makes a GPU's NaN, without a GPU or nvcc, on
// weights from which they make NaNs on the way and yet give numbers.

// What the formats' headers use of Highway, as in lane_cuda.cuh.
#define HWY_NAMESPACE N_GPU_NAN
#define HWY_BEFORE_NAMESPACE() static_assert(true, "")
#define HWY_AFTER_NAMESPACE() static_assert(true, "")
#define HWY_INLINE inline
#define HWY_ATTR
#define HWY_SCALAR 1
#define HWY_EMU128 2
#define HWY_TARGET HWY_SCALAR
#define QUERN_KERNELS_LANE_HIGHWAY_INL_H_

#include <doctest/doctest.h>

#include <limits>
#include <vector>

#include "kernels/codec.h"
#include "kernels/lane.h"
#include "kernels/targets.h"
#include "tests/golden/block_table.h"

namespace quern {
namespace N_GPU_NAN {

// A float whose arithmetic gives 0x7fffffff for every NaN.
struct GpuFloat {
  float value;

  static GpuFloat Of(float value) {
    return {value == value ? value : std::bit_cast<float>(0x7fffffff)};
  }
  friend GpuFloat operator+(GpuFloat a, GpuFloat b) { return Of(a.value + b.value); }
  friend GpuFloat operator-(GpuFloat a, GpuFloat b) { return Of(a.value - b.value); }
  friend GpuFloat operator*(GpuFloat a, GpuFloat b) { return Of(a.value * b.value); }
  friend GpuFloat operator/(GpuFloat a, GpuFloat b) { return Of(a.value / b.value); }
  friend bool operator<(GpuFloat a, GpuFloat b) { return a.value < b.value; }
  friend bool operator>(GpuFloat a, GpuFloat b) { return a.value > b.value; }
  friend bool operator<=(GpuFloat a, GpuFloat b) { return a.value <= b.value; }
  friend bool operator>=(GpuFloat a, GpuFloat b) { return a.value >= b.value; }
  friend bool operator==(GpuFloat a, GpuFloat b) { return a.value == b.value; }
};

struct GpuNanLane : ScalarLane {
  using F = GpuFloat;
  using Near = GpuNanLane;
  using ScalarLane::Max;
  using ScalarLane::Min;
  using ScalarLane::Select;
  static constexpr bool kIsThread = true;

  static F Set(float value) { return {value}; }
  static F Load(const float* p) { return {*p}; }
  static void Store(F value, float* p) { *p = value.value; }
  static F LoadNear(const float* p) { return {*p}; }
  static void StoreNear(F value, float* p) { *p = value.value; }
  static F Select(M mask, F yes, F no) { return mask ? yes : no; }
  static F Abs(F a) { return {std::fabs(a.value)}; }
  static F Neg(F a) { return {-a.value}; }
  static F Sqrt(F a) { return F::Of(std::sqrt(a.value)); }
  static F Min(F a, F b) { return a.value < b.value ? a : b; }
  static F Max(F a, F b) { return a.value > b.value ? a : b; }
  static F Quotient(F n, F d, F) { return n / d; }
  static F Round(F a) { return F::Of(ScalarLane::Round(a.value)); }
  static F AtLeast(F a, float low) { return {ScalarLane::AtLeast(a.value, low)}; }
  static F AtMost(F a, float high) { return {ScalarLane::AtMost(a.value, high)}; }
  static I ToInt(F a) { return ScalarLane::ToInt(a.value); }
  static F ToFloat(I a) { return {static_cast<float>(a)}; }
  // As CudaLane.
  static I Bits(F a) {
    const I bits = std::bit_cast<I>(a.value);
    return a.value == a.value ? bits : (~bits & INT32_MIN) | 0x7fc00000;
  }
  static F FromBits(I bits) { return {std::bit_cast<float>(bits)}; }
  static I Lookup(const int32_t* table, I index) { return table[index]; }
  static F Lookup(const float* table, I index) { return {table[index]}; }
  static F LookupOwn(const float* values, I index) { return {values[index]}; }
  template <int kBits>
  static F Odd(I level) {
    return {ScalarLane::Odd<kBits>(level)};
  }
  static F Lookup16(const float* table, I index) { return {table[index]}; }
};

}  // namespace N_GPU_NAN
}  // namespace quern

// clang-format off: the lane stands before what uses it.
#include "kernels/formats/iq1_m-inl.h"
#include "kernels/formats/iq1_s-inl.h"
#include "kernels/formats/iq2_s-inl.h"
#include "kernels/formats/iq2_xs-inl.h"
#include "kernels/formats/iq2_xxs-inl.h"
#include "kernels/formats/iq3_s-inl.h"
#include "kernels/formats/iq3_xxs-inl.h"
#include "kernels/formats/iq4_nl-inl.h"
#include "kernels/formats/iq4_xs-inl.h"
#include "kernels/formats/mxfp4-inl.h"
#include "kernels/formats/nvfp4-inl.h"
#include "kernels/formats/q1_0-inl.h"
#include "kernels/formats/q2_0-inl.h"
#include "kernels/formats/q2_k-inl.h"
#include "kernels/formats/q3_k-inl.h"
#include "kernels/formats/q4_0-inl.h"
#include "kernels/formats/q4_1-inl.h"
#include "kernels/formats/q4_k-inl.h"
#include "kernels/formats/q5_0-inl.h"
#include "kernels/formats/q5_1-inl.h"
#include "kernels/formats/q5_k-inl.h"
#include "kernels/formats/q6_k-inl.h"
#include "kernels/formats/q8_0-inl.h"
#include "kernels/formats/tq1_0-inl.h"
#include "kernels/formats/tq2_0-inl.h"
// clang-format on

namespace quern {
namespace {

using namespace N_GPU_NAN;

constexpr int64_t kRows = 2, kCols = 256;

// One row at a time: each has a mean of its own.
template <class Format>
std::vector<std::byte> Encoded(const std::vector<float>& in, std::span<const float> importance) {
  constexpr int kElems = Format::kElems;
  constexpr size_t kBytes = sizeof(typename Format::Block);
  std::vector<std::byte> out(static_cast<size_t>(kRows * RowBytes(Format::kType, kCols)));
  for (int64_t block = 0; block < kRows * kCols / kElems; ++block) {
    Tile<GpuNanLane> tile{};
    tile.x = {in.data() + block * kElems};
    tile.weighted = !importance.empty();
    if (tile.weighted) tile.importance = {importance.data() + block % (kCols / kElems) * kElems};
    GpuFloat sum{0};
    const float* row = in.data() + block * kElems / kCols * kCols;
    for (int64_t i = 0; i < kCols; ++i) sum = sum + GpuFloat{row[i]} * GpuFloat{row[i]};
    tile.row_mean_x2 = sum / GpuFloat{static_cast<float>(kCols)};
    if constexpr (requires { Format::kHasGrid; }) tile.grid = ViewOf(GridTableOf(Format::kType));
    tile.out = {reinterpret_cast<uint8_t*>(out.data()) + static_cast<size_t>(block) * kBytes,
                kBytes, 1};
    Format::template Encode<GpuNanLane>(tile);
  }
  return out;
}

template <class Format>
void Check(const std::vector<float>& in, std::span<const float> importance) {
  if (importance.empty() && NeedsImportance(Format::kType)) return;
  CAPTURE(NameOf(Format::kType));
  std::vector<std::byte> wanted(static_cast<size_t>(kRows * RowBytes(Format::kType, kCols)));
  EncodeRows(Format::kType, in.data(), kRows, kCols, importance, wanted.data());
  CHECK((Encoded<Format>(in, importance) == wanted));
}

template <class... Formats>
void CheckAll(const std::vector<float>& in, std::span<const float> importance) {
  (Check<Formats>(in, importance), ...);
}

TEST_CASE("the bits of a GPU's NaN change no byte") {
  constexpr float kTiny = std::numeric_limits<float>::denorm_min();
  std::vector<std::vector<float>> inputs;
  for (const float value : {0.0F, -0.0F, 1.0F, kTiny, -1e-40F, 1e-37F, 1e-20F, 65520.0F, 1e19F,
                            -1e30F, 3e38F, -3e38F}) {
    inputs.emplace_back(kRows * kCols, value);
    inputs.push_back(testing::BlockInput(0, 5));
    inputs.back().resize(kRows * kCols);
    inputs.back()[77] = value;
  }
  std::vector<float> importance = testing::BlockImportance(2, 5);
  importance.resize(kCols);
  std::vector<float> wild = importance;
  wild[3] = 1e30F;
  wild[200] = kTiny;
  const std::vector<float> none(kCols, 0.0F);
  UseKernelTarget("scalar");
  for (const std::vector<float>& input : inputs) {
    CAPTURE(input[77]);
    for (const std::span<const float> chosen :
         {std::span<const float>(), std::span<const float>(importance),
          std::span<const float>(wild), std::span<const float>(none)}) {
      CheckAll<Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K>(input, chosen);
      CheckAll<IQ1_M, IQ1_S, IQ2_S, IQ2_XS, IQ2_XXS, IQ3_S, IQ3_XXS, IQ4_NL, IQ4_XS>(input, chosen);
      CheckAll<MXFP4, NVFP4, Q1_0, Q2_0, TQ1_0, TQ2_0>(input, chosen);
    }
  }
  UseKernelTarget("");
}

}  // namespace
}  // namespace quern
