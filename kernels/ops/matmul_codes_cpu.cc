#include "kernels/ops/avx512.h"
#include "kernels/ops/matmul_codes.h"

#if QUERN_HAS_VNNI

#include <hwy/highway.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "base/error.h"
#include "base/parallel.h"
#include "kernels/ops/code_products_avx512.h"
#include "kernels/ops/row_pieces.h"

namespace quern {
namespace {

// What MatMulCodes needs of a type, found once per product.
struct TypeKernels {
  bool scale_per_32;
  void (*tile)(const Matrix&, int64_t, int64_t, const RoundedActivations&, Tile&, float*);
  std::vector<RowInput> (*inputs)(const RoundedActivations&);
  void (*rows)(const Matrix&, int64_t, int64_t, const RoundedActivations&, const RowInput*, float*);
};

const TypeKernels* KernelsOf(Type type) {
  switch (type) {
#define QUERN_CODE_TYPE(name)                                                          \
  case Type::k##name: {                                                                \
    using C = Codes<Block##name>;                                                      \
    static constexpr TypeKernels kKernels = {C::kScalePer32, TileProduct<Block##name>, \
                                             InputsOf<C>, RowProducts<Block##name>};   \
    return &kKernels;                                                                  \
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

// The products of a few tokens, row by row.
void MatMulFew(std::span<const Product> products, const RoundedActivations& x) {
  std::vector<const TypeKernels*> kernels;
  std::vector<std::vector<RowInput>> inputs;
  for (const Product& product : products) {
    kernels.push_back(KernelsOf(product.w->type));
    inputs.push_back(kernels.back()->inputs(x));
  }
  const int64_t bytes = StreamBytes(products);
  const auto work = CutRows(products, [&](const Matrix& w) { return bytes / w.row_bytes(); });
  ParallelFor(std::ssize(work), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const auto& [which, first, rows] = work[static_cast<size_t>(i)];
      const Product& product = products[which];
      kernels[which]->rows(*product.w, first, rows, x, inputs[which].data(), product.y);
    }
  });
}

// The products of many tokens, tile by tile.
void MatMulMany(std::span<const Product> products, const RoundedActivations& x) {
  const auto work = CutRows(products, [](const Matrix&) { return kTileRows; });
  ParallelFor(std::ssize(work), 1, [&](int64_t begin, int64_t end) {
    const auto tile = std::make_unique<Tile>();
    std::vector<float> sums(static_cast<size_t>(x.padded_tokens() * kTileRows));
    for (int64_t i = begin; i < end; ++i) {
      const auto& [which, first, rows] = work[static_cast<size_t>(i)];
      const auto& [w, y] = products[which];
      KernelsOf(w->type)->tile(*w, first, rows, x, *tile, sums.data());
      for (int64_t t = 0; t < x.tokens(); ++t) {
        std::copy_n(sums.data() + t * kTileRows, rows, y + t * w->rows + first);
      }
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
  for (const bool scale_per_32 : {false, true}) {
    std::vector<Product> alike;
    for (const Product& product : products) {
      if (KernelsOf(product.w->type)->scale_per_32 == scale_per_32) alike.push_back(product);
    }
    if (alike.empty()) continue;
    const RoundedActivations rounded(x, tokens, cols, scale_per_32);
    if (tokens <= kFewTokens) {
      MatMulFew(alike, rounded);
    } else {
      MatMulMany(alike, rounded);
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
