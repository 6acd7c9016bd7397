#pragma once

#include "base/progress.h"
#include "gguf/tensor_source.h"

namespace quern::cli {

// Reads an output back and compares each tensor with what `source`, which it was written from,
// gives when it is computed anew. Error kOutput, naming the tensor and the row, where they differ.
void VerifyOutput(const TensorSource& source, const TensorSource& written, Progress& progress);

}  // namespace quern::cli
