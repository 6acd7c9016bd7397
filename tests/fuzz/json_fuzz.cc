// JSON of configs, indices and headers: any bytes give a value or an Error.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json_text.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    quern::ParseJson(text, "fuzz");
  } catch (const quern::Error&) {
  }
  try {
    quern::ParseOrderedJson(text, "fuzz");
  } catch (const quern::Error&) {
  }
  return 0;
}
