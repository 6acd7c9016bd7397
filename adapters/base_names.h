#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "gguf/metadata.h"
#include "gguf/tensor_source.h"
#include "model/arch/row_order.h"

namespace quern {

// How a tensor of a base stands to the checkpoint that adapters are made for.
struct BaseTensor {
  std::string hf_name;    // "model.layers.0.self_attn.q_proj.weight"; empty: no adapter can mean it
  int64_t head_rows = 0;  // rows of a head within which the base has another order; 0: the same
  // A merged value is rounded to this before it is stored: the checkpoint's type.
  Type precision = Type::kF32;

  // The checkpoint's row that is row `row` here.
  int64_t HfRow(int64_t row) const {
    return head_rows == 0 ? row : SourceRow(RowDirection::kToGguf, row, head_rows);
  }
  // One value for each row, from the checkpoint's order into the base's.
  std::vector<float> InBaseOrder(const std::vector<float>& values) const;
};

struct BaseNames {
  std::vector<BaseTensor> tensors;  // one for each tensor of a base, in its order
  // What the output is called here, for a base that has none because it is tied to the embeddings.
  std::string output_name;

  size_t size() const { return tensors.size(); }
  const BaseTensor& operator[](size_t index) const { return tensors[index]; }
};

// The rows of a head, within which GGUF has another order than the checkpoint, of a tensor of
// `rows` rows in a model of these keys; 0 where the order is the same. Error kBadInput where the
// heads cannot share the rows.
int64_t HeadRowsOf(const TensorRule& rule, int64_t rows, const std::string& tensor,
                   const Metadata& metadata, const std::string& arch);

// The HF names of the two ends of a model.
inline constexpr const char* kEmbeddingsHfName = "model.embed_tokens.weight";
inline constexpr const char* kOutputHfName = "lm_head.weight";

// Of a HF checkpoint: names and rows are the adapters' own.
BaseNames HfBaseNames(const TensorSource& base);

// Of a GGUF model. Biases are stored in f32 whatever the checkpoint's type was, so theirs is taken
// from the weight beside them. Error kUnsupported for an architecture that is not known.
BaseNames GgufBaseNames(const TensorSource& base, const Metadata& metadata);

}  // namespace quern
