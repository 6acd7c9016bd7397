#pragma once

#include <cstdint>
#include <vector>

#include "model/arch/arch.h"

namespace quern {

// The sizes that a model's tensors follow from.
struct Dims {
  int64_t layers = 0;
  int64_t embedding = 0;     // hidden_size
  int64_t feed_forward = 0;  // intermediate_size
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  int64_t vocab = 0;
};

// The shape (GGUF's order) of the weight of `role`, or of its bias.
std::vector<int64_t> ShapeOf(const Dims& dims, Role role, bool is_bias = false);

}  // namespace quern
