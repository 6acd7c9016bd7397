// model.safetensors.index.json beside one good shard: any bytes give a checkpoint or an Error.
#include <cstring>
#include <string>

#include "base/error.h"
#include "convert/checkpoint.h"
#include "tests/fuzz/folder.h"

namespace {

void PutShard() {
  const std::string header = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  std::string file(8, '\0');
  const uint64_t size = header.size();
  std::memcpy(file.data(), &size, sizeof(size));
  file += header + std::string(8, '\0');
  quern::fuzz::Put("model-00001-of-00001.safetensors",
                   reinterpret_cast<const uint8_t*>(file.data()), file.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const bool once = (PutShard(), true);
  (void)once;
  quern::fuzz::Put("model.safetensors.index.json", data, size);
  try {
    quern::Checkpoint::Open(quern::fuzz::Folder());
  } catch (const quern::Error&) {
  }
  return 0;
}
