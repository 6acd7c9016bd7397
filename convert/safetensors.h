#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "convert/stored_tensor.h"

namespace quern {

// The format's own bound for the JSON header.
inline constexpr uint64_t kMaxSafetensorsHeader = 100'000'000;

// Parses and checks the JSON header of a safetensors file of `file_size` bytes: every tensor has as
// many bytes as its dtype and shape say, and together they fill the file without gap or overlap.
// The tensors come sorted by name, as every reader of the format lists them. Errors are kBadInput,
// and kUnsupported for a dtype that GGUF has no type for.
std::vector<StoredTensor> ParseSafetensorsHeader(std::string_view header, uint64_t file_size,
                                                 const std::string& name);

// The same of an open file; reads the header only.
std::vector<StoredTensor> ReadSafetensors(const InputFile& file);

}  // namespace quern
