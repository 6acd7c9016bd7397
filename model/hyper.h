#pragma once

#include <cstdint>

#include "gguf/metadata.h"
#include "kernels/ops/rope.h"
#include "model/arch/arch.h"

namespace quern {

// The numbers of a model, read from GGUF's keys and checked: none of them can lead the forward pass
// out of its buffers. Shapes of tensors are checked against them by weights.h.
struct Hyper {
  const Arch* arch = nullptr;
  int64_t layers = 0;
  int64_t embd = 0;  // width of the residual stream
  int64_t ff = 0;    // width of the feed-forward network
  int64_t heads = 0, kv_heads = 0;
  int64_t key_dim = 0, value_dim = 0;  // of one head
  int64_t context = 0;                 // tokens the model was trained for
  float rms_eps = 0;
  RopeParams rope;
};

// Errors: kUnsupported for an architecture, or a way of it, that is not known; kBadInput for keys
// that are missing, out of range or contradict each other.
Hyper ReadHyper(const Metadata& metadata);

}  // namespace quern
