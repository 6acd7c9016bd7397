// The JSON header of a safetensors file: any bytes give tensors that lie in the file, or an Error.
#include <cstddef>
#include <cstdint>

#include "base/error.h"
#include "convert/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const std::string_view header(reinterpret_cast<const char*>(data), size);
    const uint64_t file_size = 8 + size + 64;
    for (const auto& tensor : quern::ParseSafetensorsHeader(header, file_size, "fuzz")) {
      const auto bytes = static_cast<uint64_t>(tensor.info.bytes());
      if (tensor.offset > file_size || bytes > file_size - tensor.offset) __builtin_trap();
    }
  } catch (const quern::Error&) {
  }
  return 0;
}
