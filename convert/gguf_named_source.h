#pragma once

#include <memory>
#include <string>
#include <vector>

#include "gguf/tensor_source.h"
#include "model/arch/arch.h"
#include "model/arch/dims.h"

namespace quern {

// A tensor that no checkpoint has and GGUF wants, in f32.
struct ExtraTensor {
  std::string name;
  std::vector<int64_t> shape;
  std::vector<float> values;
};

struct GgufNaming {
  const Arch* arch = nullptr;
  Dims dims;
  // tie_word_embeddings: an output may be absent. One that is there is kept, as the reference does.
  bool tied = false;
  // Stand first, as the reference writes them.
  std::vector<ExtraTensor> extra = {};
};

// The HF checkpoint `hf` under GGUF's names, in its own order, rows of Q and K permuted where the
// family wants it; types are those of `hf`. Buffers that are made anew from the config
// (rotary_emb.inv_freq) are left out. Errors: kUnsupported for a tensor that the family does not
// know or that holds no floats; kBadInput for a shape that contradicts `dims`, a tensor that is
// missing, and a module that only some layers have.
std::shared_ptr<TensorSource> MakeGgufNamed(std::shared_ptr<const TensorSource> hf,
                                            GgufNaming naming);

}  // namespace quern
