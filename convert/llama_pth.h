#pragma once

#include <memory>
#include <string>
#include <vector>

#include "convert/model_config.h"
#include "gguf/tensor_source.h"

namespace quern {

// What Llama's own code calls the output.
inline constexpr const char* kLlamaOutput = "output.weight";

// Tensors under the names of Llama's own code, and for each the checkpoint's tensor that it is and
// the rows of a head within which it has another order (0: the same).
struct LlamaNamed {
  std::shared_ptr<const TensorSource> tensors;
  std::vector<size_t> origins;
  std::vector<int64_t> head_rows;
};

// A HF checkpoint of Llama's class under the names of Llama's own code ("tok_embeddings.weight",
// "layers.0.attention.wq.weight"), rows of wq and wk in its order, as Alpaca-LoRA's
// export_state_dict_checkpoint.py writes them. A tied output is written on its own. Errors:
// kUnsupported for another class, biases or tensors that Llama's code does not have.
LlamaNamed MakeLlamaNamed(std::shared_ptr<const TensorSource> hf, const ModelConfig& config);

// params.json for those weights; the vocabulary's size is left to the tokenizer (-1), as there.
std::string LlamaParams(const ModelConfig& config);

}  // namespace quern
