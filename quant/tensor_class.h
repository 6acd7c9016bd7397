#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "gguf/tensor_source.h"

namespace quern {

// What a recipe tells tensors apart by. These are words in the names, wider than a family's roles:
// kDown is every "ffn_down", experts too.
enum class TensorClass : uint8_t {
  kOutput,
  kEmbedding,
  kV,  // attn_v, and what holds it: attn_qkv, attn_kv_b
  kK,
  kQ,
  kAttnOutput,
  kDown,
  kGate,
  kUp,
  kOther,
};
inline constexpr int kTensorClasses = 10;

TensorClass ClassOf(std::string_view name);

// N of "blk.N.", if the name begins so.
std::optional<int64_t> LayerOf(std::string_view name);

// Whether file types say anything of this tensor: a weight of two dimensions or more that is none
// of those that are kept as they are (norms, routers, convolutions, position embeddings, ...).
bool MayQuantize(const TensorInfo& tensor);

}  // namespace quern
