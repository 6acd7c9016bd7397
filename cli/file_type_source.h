#pragma once

#include <memory>
#include <string>

#include "base/progress.h"
#include "convert/hf_model.h"
#include "gguf/metadata.h"
#include "gguf/tensor_source.h"
#include "kernels/device_encoder.h"
#include "quant/file_type.h"

namespace quern::cli {

// A model as quantizing its file gives it: the recipe's types, in llama-quantize's order. Sets the
// keys that name the type. Error kUnsupported for a tensor that needs an importance matrix.
std::shared_ptr<const TensorSource> QuantizedSource(
    std::shared_ptr<const TensorSource> model, FileType type, Metadata& keys,
    std::shared_ptr<DeviceEncoder> device = nullptr);

// A HF model as a GGUF file of some type has it.
struct ConvertedModel {
  FileType file_type = FileType::kF16;
  std::shared_ptr<const TensorSource> tensors;
  Metadata keys;
  ModelNameParts name;
};

// `checkpoint` has the model's tensors, merged with adapters or not. outtype: "auto" or the name of
// a file type; one that the reference's converter does not write itself is quantized from bf16.
// Error kUsage for a type that there is not.
ConvertedModel ConvertModel(const HfModel& model, std::shared_ptr<const TensorSource> checkpoint,
                            const std::string& outtype, Progress& progress,
                            std::shared_ptr<DeviceEncoder> device = nullptr);

}  // namespace quern::cli
