#pragma once

#include <memory>

#include "adapters/lora_adapter.h"
#include "gguf/gguf_reader.h"

namespace quern {

// What a GGUF adapter calls its things (llama.cpp's convert_lora_to_gguf.py).
namespace keys {
inline constexpr std::string_view kAdapterType = "adapter.type";
inline constexpr std::string_view kLoraAlpha = "adapter.lora.alpha";
inline constexpr std::string_view kInvocationTokens = "adapter.alora.invocation_tokens";
}  // namespace keys
inline constexpr std::string_view kLoraAEnding = ".lora_a", kLoraBEnding = ".lora_b";

// Whether the keys are those of an adapter, not of a model.
bool IsGgufAdapter(const Metadata& metadata);

// An adapter of llama.cpp's kind as PEFT would have it: for each weight X there are X.lora_a [rank,
// in] and X.lora_b [out, rank], of the embeddings lora_a [vocab, rank] and lora_b [embd, rank];
// the scale is alpha / rank, or 1 where alpha is 0. Names, and the order of B's rows, become HF's.
// `base`: the keys of the model that it is for, of which the architecture and the numbers of heads
// count. Errors: kBadInput for a file that is no adapter, one of another architecture, a tensor
// without its other half or that the family does not know; kUnsupported for an activated adapter.
std::shared_ptr<const LoraAdapter> OpenGgufAdapter(std::shared_ptr<const GgufModel> file,
                                                   const Metadata& base);

}  // namespace quern
