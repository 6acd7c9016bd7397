#pragma once

#include <vector>

#include "base/file.h"
#include "convert/stored_tensor.h"

namespace quern {

// The tensors of a file of torch.save (torch 1.6 or later) that holds one dictionary of them, in
// its order. Nothing of the file is executed. Errors are kBadInput; kUnsupported for the older form
// of file, objects and dtypes that are not ours, and tensors that do not lie row by row.
std::vector<StoredTensor> ReadTorchFile(const InputFile& file);

}  // namespace quern
