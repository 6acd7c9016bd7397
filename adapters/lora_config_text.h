#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "adapters/lora_config.h"

namespace quern {

// The text of an adapter_config.json as PEFT writes it: indent 2, keys sorted. Of the config the
// base, rank, alpha, their patterns, the target modules and the scale's rule count: adapters with
// more to them Quern does not write.
std::string LoraConfigText(const LoraConfig& config);

// The shortest target_modules that mean these modules of a model with so many layers and no others:
// the last parts of their names where every layer has them, otherwise whole names. 0: it is not
// known how many layers there are.
std::vector<std::string> ShortTargets(const std::vector<std::string>& modules, int64_t layers);

}  // namespace quern
