// llama.cpp's old importance matrix: any bytes give a matrix or an Error.
#include <cstddef>
#include <cstdint>

#include "base/error.h"
#include "quant/imatrix.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    quern::ParseDatImatrix(std::as_bytes(std::span(data, size)), "fuzz");
  } catch (const quern::Error&) {
  }
  return 0;
}
