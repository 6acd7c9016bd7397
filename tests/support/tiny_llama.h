#pragma once

#include <filesystem>
#include <memory>

#include "gguf/metadata.h"
#include "gguf/tensor_source.h"

namespace quern::testing {

// The weights of models/tiny-llama under GGUF's names in bf16, its norms in f32: the tensors of the
// file that the reference quantized for goldens/quantize.csv. nullptr where the model is not there.
std::shared_ptr<TensorSource> TinyLlama();
// The keys that a recipe asks for.
Metadata TinyLlamaKeys();
// Both as a GGUF file; it has no vocabulary.
void WriteTinyLlama(const std::filesystem::path& path);

}  // namespace quern::testing
