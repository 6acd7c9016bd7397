// The header of a GGUF file: any bytes give a header or an Error.
#include <cstddef>
#include <cstdint>

#include "base/error.h"
#include "gguf/gguf_reader.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    // The claimed size of the file is larger than what is there, so that tensors pass the last
    // check.
    quern::ParseGgufHeader(std::as_bytes(std::span(data, size)), size + 65536, "fuzz");
  } catch (const quern::Error&) {
  }
  return 0;
}
