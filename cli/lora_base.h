#pragma once

#include <filesystem>
#include <memory>

#include "adapters/base_names.h"
#include "base/progress.h"
#include "gguf/metadata.h"
#include "gguf/tensor_source.h"

namespace quern::cli {

// The model that an adapter is made for, as far as converting the adapter needs it.
struct LoraBase {
  std::shared_ptr<const TensorSource> tensors;
  BaseNames names;  // rows in GGUF's order
  Metadata keys;    // the architecture and its numbers at least
};

// Of a GGUF file, or a HF folder with or without weights: the shapes follow from its config.json.
LoraBase OpenLoraBase(const std::filesystem::path& path, Progress& progress);

}  // namespace quern::cli
