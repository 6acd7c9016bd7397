#pragma once

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

namespace quern::fuzz {

// A folder of this process for parsers that read files, in memory where the system has such a
// place.
inline const std::filesystem::path& Folder() {
  static const std::filesystem::path folder = [] {
    const std::filesystem::path shm = "/dev/shm";
    const auto root = std::filesystem::exists(shm) ? shm : std::filesystem::temp_directory_path();
    const auto path = root / ("quern-fuzz-" + std::to_string(getpid()));
    std::filesystem::create_directories(path);
    return path;
  }();
  return folder;
}

inline std::filesystem::path Put(const std::string& name, const uint8_t* data, size_t size) {
  const auto path = Folder() / name;
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  return path;
}

}  // namespace quern::fuzz
