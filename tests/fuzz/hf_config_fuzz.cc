// config.json: any bytes give a model's config or an Error.
#include "base/error.h"
#include "convert/model_config.h"
#include "tests/fuzz/folder.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  quern::fuzz::Put("config.json", data, size);
  quern::NoProgress progress;
  try {
    quern::ReadModelConfig(quern::fuzz::Folder(), progress);
  } catch (const quern::Error&) {
  }
  return 0;
}
