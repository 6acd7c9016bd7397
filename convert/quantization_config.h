#pragma once

#include <filesystem>

#include "convert/json_fields.h"

namespace quern {

// A config.json may say that the weights are quantized (quantization_config). Quern decodes what
// bitsandbytes wrote; error kUnsupported, naming the method, for any other.
void CheckQuantization(const JsonFields& config);
// Of the config.json in a folder, if it has one.
void CheckQuantizationOf(const std::filesystem::path& folder);

}  // namespace quern
