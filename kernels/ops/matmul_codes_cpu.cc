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

// Rows [first, first + rows) of a product: what a thread takes at a time.
struct Work {
  const Product* product;
  const TypeKernels* kernels;
  const RowInput* inputs;
  int64_t first, rows;
};

// The products of a few tokens, row by row. A piece of work is as many rows as make 64 KB or so.
void MatMulFew(std::span<const Product> products, const RoundedActivations& x) {
  std::vector<std::vector<RowInput>> inputs(products.size());
  std::vector<Work> work;
  for (size_t i = 0; i < products.size(); ++i) {
    const Matrix& w = *products[i].w;
    const TypeKernels* kernels = KernelsOf(w.type);
    inputs[i] = kernels->inputs(x);
    const int64_t step = std::max<int64_t>(1, 65536 / w.row_bytes());
    for (int64_t r = 0; r < w.rows; r += step) {
      work.push_back({&products[i], kernels, inputs[i].data(), r, std::min(step, w.rows - r)});
    }
  }
  ParallelFor(std::ssize(work), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const auto& [product, kernels, input, first, rows] = work[static_cast<size_t>(i)];
      kernels->rows(*product->w, first, rows, x, input, product->y);
    }
  });
}

// The products of many tokens, tile by tile.
void MatMulMany(std::span<const Product> products, const RoundedActivations& x) {
  std::vector<Work> work;
  for (const Product& product : products) {
    const int64_t rows = product.w->rows;
    for (int64_t r = 0; r < rows; r += kTileRows) {
      work.push_back(
          {&product, KernelsOf(product.w->type), nullptr, r, std::min(kTileRows, rows - r)});
    }
  }
  ParallelFor(std::ssize(work), 1, [&](int64_t begin, int64_t end) {
    const auto tile = std::make_unique<Tile>();
    std::vector<float> sums(static_cast<size_t>(x.padded_tokens() * kTileRows));
    for (int64_t i = begin; i < end; ++i) {
      const Work& w = work[static_cast<size_t>(i)];
      w.kernels->tile(*w.product->w, w.first, w.rows, x, *tile, sums.data());
      for (int64_t t = 0; t < x.tokens(); ++t) {
        std::copy_n(sums.data() + t * kTileRows, w.rows,
                    w.product->y + t * w.product->w->rows + w.first);
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
