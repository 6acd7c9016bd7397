// A torch file, zip and pickle: any bytes give tensors that lie in the file, or an Error.
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/error.h"
#include "convert/torch_zip.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // The reader wants a file that it can seek in; this one is in memory.
  static const int fd = memfd_create("fuzz", 0);
  if (ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != static_cast<ssize_t>(size)) {
    __builtin_trap();
  }
  const quern::InputFile file("/proc/self/fd/" + std::to_string(fd));
  try {
    for (const auto& tensor : quern::ReadTorchFile(file)) {
      const auto bytes = static_cast<uint64_t>(tensor.info.bytes());
      if (tensor.offset > size || bytes > size - tensor.offset) __builtin_trap();
    }
  } catch (const quern::Error&) {
  }
  return 0;
}
