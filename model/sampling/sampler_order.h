#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace quern {

// The samplers between the logits and the draw.
enum class SamplerStep {
  kPenalties,
  kDry,
  kTopNSigma,
  kTopK,
  kTypical,
  kTopP,
  kMinP,
  kXtc,
  kTemperature
};

// llama.cpp's, which is the order above.
std::vector<SamplerStep> DefaultSamplerOrder();

// "penalties;top_k;temperature", with - for _ or neither, and the peers' short names. Error kUsage
// for a name that is not known.
std::vector<SamplerStep> ParseSamplerNames(std::string_view names);
// "ekt": a letter for each. Error kUsage for a letter that is not known.
std::vector<SamplerStep> ParseSamplerLetters(std::string_view letters);
// The default order, both ways.
std::string DefaultSamplerNames();
std::string DefaultSamplerLetters();

}  // namespace quern
