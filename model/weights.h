#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "gguf/gguf_reader.h"
#include "kernels/ops/matmul.h"
#include "model/adaptation.h"
#include "model/hyper.h"

namespace quern {

// A linear layer: y = x transpose(weight) + bias, and what its terms add to the product.
struct Linear {
  std::string name;  // of the weight tensor: "blk.0.attn_q.weight"
  Matrix weight;
  std::vector<float> bias;  // weight.rows of them, or none
  std::vector<LowRankTerm> terms;
};

struct LayerWeights {
  std::vector<float> attn_norm, ffn_norm;  // embd
  std::vector<float> q_norm, k_norm;       // key_dim, or none
  Linear q, k, v, attn_output;
  Linear gate, up, down;
};

// The tensors of a GGUF model by their roles. Matrices stay in the mapped file, in their types.
class Weights {
 public:
  // Errors: kBadInput where a tensor is missing or has another shape than the keys say,
  // kUnsupported for a tensor or type that the forward pass does not know.
  static std::unique_ptr<Weights> Load(const std::shared_ptr<const GgufModel>& model,
                                       Adaptation adaptation = {});

  const Hyper& hyper() const { return hyper_; }
  const std::string& name() const { return model_->name(); }
  int64_t vocab() const { return token_embd.rows; }

  Matrix token_embd;  // [vocab, embd]
  std::vector<LowRankTerm> token_embd_terms;
  std::vector<float> output_norm;
  Linear output;                     // token_embd again where the file has no other
  std::vector<float> rope_divisors;  // rope dims / 2, or none
  std::vector<LayerWeights> layers;

 private:
  explicit Weights(const std::shared_ptr<const GgufModel>& model);
  void Place(const TensorInfo& tensor, const std::byte* bytes);
  void PlaceTerm(LowRankTerm term);
  void CheckComplete() const;
  const std::byte* BytesOf(size_t tensor);
  const std::byte* ReadOwn(const TensorSource& source, size_t tensor);

  std::shared_ptr<const GgufModel> model_;
  Hyper hyper_;
  std::vector<std::unique_ptr<MappedFile>> maps_;  // one per split
  // Tensors that are not used where they lie: those of big-endian files, and an adaptation's.
  std::vector<std::vector<std::byte>> own_;
};

}  // namespace quern
