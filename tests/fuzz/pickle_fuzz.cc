// A pickle: any bytes give plain values or an Error.
#include <cstddef>
#include <cstdint>

#include "base/error.h"
#include "convert/pickle.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    quern::ParsePickle(std::as_bytes(std::span(data, size)), "fuzz", [](std::string_view global) {
      if (global.starts_with("os")) quern::Fail(quern::ErrorKind::kBadInput, "{}", global);
    });
  } catch (const quern::Error&) {
  }
  return 0;
}
