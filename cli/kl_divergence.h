#pragma once

#include <string>
#include <vector>

#include "model/eval/scoring.h"

namespace quern::cli {

struct KlDivergenceOptions {
  std::string base;       // a GGUF file, or a file of logits
  std::string candidate;  // a GGUF file
  std::string text;       // of no use where the base is a file of logits
  ScoringOptions method;
  int threads = 0;
  bool json = false;
  std::vector<std::string> adapters = {}, base_adapters = {};
};

// What kl-divergence does, and perplexity --kl-divergence.
int RunKlDivergence(const KlDivergenceOptions& options);

}  // namespace quern::cli
