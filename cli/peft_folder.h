#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "adapters/lora_config.h"
#include "base/file.h"
#include "base/progress.h"
#include "gguf/tensor_sink.h"

namespace quern::cli {

// The sink of a PEFT adapter's folder: adapter_model.safetensors beside its adapter_config.json.
std::unique_ptr<TensorSink> PeftFolder(const std::filesystem::path& folder,
                                       const LoraConfig& config, std::vector<TensorInfo> tensors,
                                       Overwrite overwrite);

}  // namespace quern::cli
