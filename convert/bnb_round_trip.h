#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "convert/bnb_codec.h"
#include "gguf/tensor_source.h"

namespace quern {

// Whether bitsandbytes quantizes the weight of this HF name and shape where transformers loads a
// model in 4 bits: linear layers, but not the output.
bool IsBnbTarget(std::string_view hf_name, const TensorInfo& tensor);

// A base as training on its 4-bit form sees it: the chosen tensors are quantized by bitsandbytes'
// arithmetic (blocks of 64, scales in float32, not nested) and decoded again, as they are read; the
// rest and all types stay. Each block is one of the tensor's own order.
class BnbRoundTripSource : public TensorSource {
 public:
  // chosen: one for each tensor of `base`; those must be floats (kUnsupported, naming the tensor).
  BnbRoundTripSource(std::shared_ptr<const TensorSource> base, std::vector<bool> chosen,
                     BnbType type);
  void ReadRows(size_t index, int64_t first, int64_t count,
                std::span<std::byte> out) const override;

 private:
  std::shared_ptr<const TensorSource> base_;
  std::vector<bool> chosen_;
  BnbType type_;
};

}  // namespace quern
