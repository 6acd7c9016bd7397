#pragma once

#include <filesystem>
#include <memory>

#include "gguf/gguf_reader.h"
#include "gguf/tensor_source.h"

namespace quern::cli {

// A model of either world by its path: a GGUF file (or the first of its splits), or a HF folder,
// safetensors or torch file, or an index of them (what bitsandbytes has quantized is decoded).
struct AnySource {
  std::shared_ptr<const TensorSource> source;
  std::shared_ptr<GgufModel> gguf;  // the same, where it is a GGUF model
};

AnySource OpenAny(const std::filesystem::path& path);

}  // namespace quern::cli
