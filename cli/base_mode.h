#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "adapters/base_names.h"
#include "convert/bnb_source.h"
#include "gguf/gguf_reader.h"

namespace quern::cli {

class Arguments;

// --base-mode and --bnb-type as they were given; empty where they were not.
struct BaseModeOptions {
  std::string mode, bnb_type;
};
void AddBaseMode(const Arguments& arguments, BaseModeOptions& options);

// The weights that adapters are merged into.
struct MergeBase {
  std::string path;
  std::vector<std::filesystem::path> files;
  std::shared_ptr<const TensorSource> tensors;
  BaseNames names;
  // Whether they are those of a quantized base, decoded; otherwise they are as the files have them.
  bool dequantized = false;
  std::string method;  // what they were quantized with: "nf4", "nf4 (nested)", "int8", "gguf"
  std::shared_ptr<const BnbSource> decoded;  // where the checkpoint itself is quantized
};

// What is quantized is dequantized; a base of 16 or 32 bits stays as it is unless its dequantized
// form is asked for: then bitsandbytes' targets go through 4 bits. Errors: kUsage for a mode that
// the base does not have, kUnsupported for blocks that a GGUF model has in another order.
MergeBase OpenHfBase(const std::filesystem::path& folder, const BaseModeOptions& options);
MergeBase OpenGgufBase(std::shared_ptr<const GgufModel> model, const BaseModeOptions& options);

}  // namespace quern::cli
