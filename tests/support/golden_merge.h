#pragma once

#include <filesystem>
#include <memory>

#include "adapters/base_names.h"
#include "adapters/lora_adapter.h"

namespace quern::testing {

// The adapter in a folder of PEFT's.
std::shared_ptr<LoraAdapter> OpenAdapter(const std::filesystem::path& folder);

// Compares a merged model with the bf16 tensors of PEFT's merged.safetensors, which has those that
// changed: all but 0.01 % of their elements are equal, the rest within one step of bf16 or 1e-6.
// All other tensors must have the base's bytes. `names` are those of the merged model's tensors.
void CheckMerged(const TensorSource& base, const TensorSource& merged, const BaseNames& names,
                 const std::filesystem::path& golden);

}  // namespace quern::testing
