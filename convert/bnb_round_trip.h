#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/recent.h"
#include "convert/bnb_codec.h"
#include "gguf/tensor_source.h"

namespace quern {

// Whether bitsandbytes quantizes the weight of this HF name and shape where transformers loads a
// model in 4 bits: linear layers, but not the output.
bool IsBnbTarget(std::string_view hf_name, const TensorInfo& tensor);

// What bitsandbytes quantizes to: 4 bits with a scale for each block of 64, which is in float32 or
// (nested: "double quantization") in 8 bits itself.
struct BnbForm {
  BnbType type;
  bool nested = false;
};

// "nf4", "nf4 (nested)".
std::string NameOf(const BnbForm& form);

// A base as training on its 4-bit form sees it: the chosen tensors are quantized by bitsandbytes'
// arithmetic and decoded again, as they are read; the rest and all types stay. Each block is one of
// the tensor's own order.
class BnbRoundTripSource : public TensorSource {
 public:
  // chosen: one for each tensor of `base`; those must be floats (kUnsupported, naming the tensor).
  BnbRoundTripSource(std::shared_ptr<const TensorSource> base, std::vector<bool> chosen,
                     BnbForm form);
  void ReadRows(size_t index, int64_t first, int64_t count,
                std::span<std::byte> out) const override;

 private:
  // Weights of a tensor in float32, from the row of weight `begin` to that of weight `end`.
  std::vector<float> ReadFloats(size_t index, int64_t begin, int64_t end) const;
  // The scales of all blocks of a tensor, where they depend on each other.
  std::vector<float> NestedScales(size_t index) const;

  std::shared_ptr<const TensorSource> base_;
  std::vector<bool> chosen_;
  BnbForm form_;
  mutable Recent<size_t, std::vector<float>> scales_;
};

}  // namespace quern
