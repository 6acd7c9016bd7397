#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/file.h"

namespace quern {

// Where the bytes of one entry lie in the file.
struct ZipEntry {
  uint64_t offset = 0;
  uint64_t size = 0;
  uint32_t crc = 0;
};

// The entries of a zip file by name, zip64 too. As torch writes them: stored, not compressed or
// encrypted (else kUnsupported), whole in the file, each name once, no byte shared (else
// kBadInput).
std::map<std::string, ZipEntry> ReadZip(const InputFile& file);

}  // namespace quern
