#pragma once

#include <filesystem>

#include "base/progress.h"
#include "gguf/metadata.h"

namespace quern::cli {

// The architecture and its numbers as GGUF keys, of a GGUF file or from a HF folder's config.json;
// of a folder nothing else.
Metadata BaseKeys(const std::filesystem::path& base, Progress& progress);

}  // namespace quern::cli
