#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/file.h"

namespace quern {
namespace {

// Opens a regular file; a folder or a device would read as something that it is not.
int OpenRegular(const std::filesystem::path& path, uint64_t& size) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    Fail(ErrorKind::kBadInput, "{}: cannot be opened: {}", path.string(), strerror(errno));
  struct stat info;
  if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    close(fd);
    Fail(ErrorKind::kBadInput, "{}: is not a regular file", path.string());
  }
  size = static_cast<uint64_t>(info.st_size);
  return fd;
}

}  // namespace

InputFile::InputFile(const std::filesystem::path& path) : name_(path.string()) {
  fd_ = OpenRegular(path, size_);
}

InputFile::~InputFile() { close(fd_); }

void InputFile::ReadAt(uint64_t offset, std::span<std::byte> out) const {
  if (offset > size_ || out.size() > size_ - offset) {
    Fail(ErrorKind::kBadInput, "{}: bytes {} to {} are wanted, the file has {}", name_, offset,
         offset + out.size(), size_);
  }
  size_t done = 0;
  while (done < out.size()) {
    const ssize_t n =
        pread(fd_, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      Fail(ErrorKind::kBadInput, "{}: reading at byte {} failed: {}", name_, offset + done,
           strerror(errno));
    }
    if (n == 0) {
      Fail(ErrorKind::kBadInput,
           "{}: ends at byte {}, {} are wanted (was it cut while being read?)", name_,
           offset + done, offset + out.size());
    }
    done += static_cast<size_t>(n);
  }
}

MappedFile::MappedFile(const std::filesystem::path& path) : name_(path.string()) {
  uint64_t size = 0;
  const int fd = OpenRegular(path, size);
  size_ = size;
  if (size_ > 0) {
    void* data = mmap(nullptr, size_, PROT_READ, MAP_SHARED, fd, 0);
    if (data == MAP_FAILED) {
      const int error = errno;
      close(fd);
      Fail(ErrorKind::kBadInput, "{}: cannot be mapped: {}", name_, strerror(error));
    }
    data_ = static_cast<const std::byte*>(data);
  }
  close(fd);
}

MappedFile::~MappedFile() {
  if (data_) munmap(const_cast<std::byte*>(data_), size_);
}

std::string ReadFile(const std::filesystem::path& path, uint64_t limit) {
  InputFile file(path);
  if (file.size() > limit) {
    Fail(ErrorKind::kBadInput, "{}: has {} bytes, at most {} are expected of such a file",
         path.string(), file.size(), limit);
  }
  std::string text(file.size(), '\0');
  file.ReadAt(0, std::as_writable_bytes(std::span(text)));
  return text;
}

}  // namespace quern
