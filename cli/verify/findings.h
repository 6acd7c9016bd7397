#pragma once

#include <string>
#include <vector>

#include "cli/verify/gate.h"
#include "model/eval/divergence.h"
#include "model/eval/product_types.h"
#include "quant/tensor_errors.h"

namespace quern::cli {

// One of the two files.
struct VerifiedFile {
  std::string path;
  uint64_t bytes = 0;  // of all its splits
  ProductTypes products;
  std::vector<std::string> adapters = {};  // that it ran with
};

// All that verify found out.
struct Findings {
  VerifiedFile reference, candidate;
  std::string text;  // the path of what was read
  ScoringOptions method;
  Divergence divergence;
  std::vector<TensorDifference> tensors;
  std::vector<Criterion> criteria;

  bool passed() const {
    for (const Criterion& criterion : criteria) {
      if (!criterion.met()) return false;
    }
    return true;
  }
};

}  // namespace quern::cli
