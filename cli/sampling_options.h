#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/sampler.h"

namespace quern::cli {

class Arguments;

// What the command line says of sampling.
struct SamplingFlags {
  SamplerOptions options;
  std::optional<std::string> names, letters;  // of the samplers, in their order
  std::vector<std::string> breakers;          // of DRY; none: the usual ones
  int64_t seed = -1;
};

// llama.cpp's names and defaults.
void AddSampling(const Arguments& arguments, SamplingFlags& flags);

// With a seed, and with the breakers as the tokens of this vocabulary. Error kUsage for a sampler
// that is not known.
SamplerOptions SamplerOptionsOf(const SamplingFlags& flags, const Tokenizer& tokenizer);

}  // namespace quern::cli
