#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "adapters/lora_adapter.h"
#include "adapters/merge_plan.h"

namespace quern {

// What of each tensor is dropped before tensors are added up.
enum class Dropped { kNothing, kSmall, kRandom };
// What is added up: whole ranks side by side, A and B apart, or the products B A, of whose sum the
// best A and B are taken.
enum class Combined { kRanks, kFactors, kDeltas };

// The ways to make one adapter of several: X(name, PEFT's combination_type, what is dropped,
// whether signs are elected, what is added up).
#define QUERN_COMBINATIONS(X)                                   \
  X(Cat, "cat", kNothing, false, kRanks)                        \
  X(Linear, "linear", kNothing, false, kFactors)                \
  X(Ties, "ties", kSmall, true, kFactors)                       \
  X(DareLinear, "dare_linear", kRandom, false, kFactors)        \
  X(DareTies, "dare_ties", kRandom, true, kFactors)             \
  X(MagnitudePrune, "magnitude_prune", kSmall, false, kFactors) \
  X(Svd, "svd", kNothing, false, kDeltas)                       \
  X(TiesSvd, "ties_svd", kSmall, true, kDeltas)                 \
  X(DareLinearSvd, "dare_linear_svd", kRandom, false, kDeltas)  \
  X(DareTiesSvd, "dare_ties_svd", kRandom, true, kDeltas)       \
  X(MagnitudePruneSvd, "magnitude_prune_svd", kSmall, false, kDeltas)

enum class Combination {
#define QUERN_COMBINATION_ENUM(name, text, dropped, elects, combined) k##name,
  QUERN_COMBINATIONS(QUERN_COMBINATION_ENUM)
#undef QUERN_COMBINATION_ENUM
};
std::string_view NameOf(Combination combination);
std::optional<Combination> CombinationFromName(std::string_view name);

struct CombineOptions {
  Combination combination = Combination::kCat;
  double density = 1;         // what pruning keeps, in (0, 1]
  bool by_frequency = false;  // ties: a sign is elected by count, not by the sum
  int64_t svd_rank = 0;       // 0: the largest rank of the adapters
  uint64_t seed = 0;          // dare_*: which elements are dropped
};

// One adapter of several as PEFT's add_weighted_adapter makes it; its alpha is its rank, so that
// its scale is 1. `cat` is the exact weighted sum, `svd` the best of its rank. Modules that only
// some adapters have take part with those. Errors: kUnsupported for adapters that are more than A
// and B of linear layers or embeddings, kBadInput for ranks or shapes that differ where they must
// not, kUsage for a density that is none.
std::shared_ptr<const LoraAdapter> CombineAdapters(std::span<const WeightedAdapter> adapters,
                                                   const CombineOptions& options);

}  // namespace quern
