#pragma once

#include <vector>

#include "convert/model_config.h"
#include "gguf/metadata.h"

namespace quern {

// Sets the keys of the model's architecture in the reference's order, general.file_type (its number
// in llama.cpp) and general.quantization_version among them.
void SetModelKeys(const ModelConfig& config, int64_t file_type, Metadata& keys);

// The divisors of the rope frequencies that stretch a Llama 3's context (rope_freqs.weight), one
// for each pair of a head's elements, or none. In the reference's float32 arithmetic, bit for bit.
std::vector<float> RopeFactors(const ModelConfig& config);

}  // namespace quern
