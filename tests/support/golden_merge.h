#pragma once

#include <filesystem>
#include <memory>

#include "adapters/lora_adapter.h"
#include "adapters/merged_source.h"

namespace quern::testing {

// The adapter in a folder of PEFT's.
std::shared_ptr<LoraAdapter> OpenAdapter(const std::filesystem::path& folder);

// Compares a merge with the bf16 tensors of PEFT's merged.safetensors, which has those that
// changed: the same tensors change, and all but 0.01 % of their elements are equal, the rest within
// one step of bf16 or 1e-6. `names` are those of the merged source's tensors.
void CheckMerged(const MergedSource& merged, const BaseNames& names,
                 const std::filesystem::path& golden);

}  // namespace quern::testing
