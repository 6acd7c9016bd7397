#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "adapters/base_names.h"
#include "adapters/edit.h"
#include "adapters/lora_adapter.h"
#include "base/recent.h"

namespace quern {

// left[rows, rank] right[rank, cols], rows in the base's order.
struct Factors {
  std::vector<float> left, right;
  int64_t rows = 0, rank = 0, cols = 0;
};

// The sum of all elements of (P) x (Q): the inner product of the two products, exact but for double
// rounding, by the Gram matrices of their factors. Shapes must agree but for the ranks.
double InnerProduct(const Factors& p, const Factors& q);

class LowRankDelta;

using FactorCache = Recent<const LowRankDelta*, Factors>;

// scale * B A of one module: A [rank, in], B [out, rank]; transposed for weights that stand
// [in, out]. The product is computed row by row as it is asked for.
class LowRankDelta : public Edit {
 public:
  struct Source {
    std::shared_ptr<const LoraAdapter> adapter;
    size_t a, b;  // tensors of the adapter
    bool transposed = false;
  };
  // round_to: the type that the delta is rounded to before it is added, where PEFT does so.
  LowRankDelta(Source source, BaseTensor place, double scale, std::shared_ptr<FactorCache> cache,
               std::optional<Type> round_to = std::nullopt);

  void Apply(int64_t first, int64_t count, std::span<float> rows) const override;
  // Reads the factors. Error kNonFinite for NaN and Inf.
  Factors Load() const;
  // The same, kept by `cache` for the next one who asks.
  std::shared_ptr<const Factors> LoadOnce(FactorCache& cache) const {
    return cache.Get(this, [this] { return Load(); });
  }
  double scale() const { return scale_; }

 private:
  Source source_;
  BaseTensor place_;
  double scale_;
  std::shared_ptr<FactorCache> cache_;
  std::optional<Type> round_to_;
};

}  // namespace quern
