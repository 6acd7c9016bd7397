#pragma once

#include <filesystem>

namespace quern {

// Whether a file begins as GGUF files do. Errors as of InputFile.
bool IsGguf(const std::filesystem::path& path);

}  // namespace quern
