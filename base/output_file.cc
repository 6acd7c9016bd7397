#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/file.h"

namespace quern {
namespace fs = std::filesystem;
namespace {

// ".NAME.quern-PID-N" beside `path`: the same file system, so that the rename is atomic.
std::string BesidePrefix(const fs::path& path) {
  return fmt::format(".{}.quern-", path.filename().string());
}

fs::path BesideName(const fs::path& path) {
  static std::atomic<int> counter{0};
  return path.parent_path() / fmt::format("{}{}-{}", BesidePrefix(path), getpid(), counter++);
}

// Removes what a killed run left beside `path`. A live one holds a lock on what it writes; the lock
// ends with its process, however that ends.
void RemoveLeftovers(const fs::path& path) {
  std::error_code ignored;
  const std::string prefix = BesidePrefix(path);
  for (const auto& entry : fs::directory_iterator(path.parent_path(), ignored)) {
    if (!entry.path().filename().string().starts_with(prefix)) continue;
    const int fd = open(entry.path().c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) continue;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) fs::remove_all(entry.path(), ignored);
    close(fd);
  }
}

// "out/" names the same thing as "out".
fs::path Normal(const fs::path& path) {
  const fs::path normal = fs::absolute(path).lexically_normal();
  return normal.has_filename() ? normal : normal.parent_path();
}

void RefuseExisting(const fs::path& path, Overwrite overwrite) {
  std::error_code ignored;
  if (overwrite == Overwrite::kRefuse && fs::exists(fs::symlink_status(path, ignored))) {
    Fail(ErrorKind::kOutput, "{}: exists already (--force replaces it)", path.string());
  }
}

void SyncPath(const fs::path& path, int flags) {
  const int fd = open(path.c_str(), flags | O_CLOEXEC);
  if (fd < 0) Fail(ErrorKind::kOutput, "{}: cannot be opened: {}", path.string(), strerror(errno));
  const int result = fsync(fd);
  const int error = errno;
  close(fd);
  // Some file systems do not sync folders, and say so with EINVAL.
  if (result != 0 && error != EINVAL) {
    Fail(ErrorKind::kOutput, "{}: cannot be synced: {}", path.string(), strerror(error));
  }
}

void Rename(const fs::path& from, const fs::path& to) {
  if (rename(from.c_str(), to.c_str()) != 0) {
    Fail(ErrorKind::kOutput, "{}: cannot be renamed to {}: {}", from.string(), to.string(),
         strerror(errno));
  }
}

}  // namespace

OutputFile::OutputFile(const fs::path& path, Overwrite overwrite)
    : path_(Normal(path)), temporary_(BesideName(path_)), overwrite_(overwrite) {
  RefuseExisting(path_, overwrite);
  if (fs::is_directory(path_)) Fail(ErrorKind::kOutput, "{}: is a folder", path_.string());
  RemoveLeftovers(path_);
  fd_ = open(temporary_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd_ < 0) {
    Fail(ErrorKind::kOutput, "{}: cannot be written beside: {}", path_.string(), strerror(errno));
  }
  flock(fd_, LOCK_EX | LOCK_NB);
}

OutputFile::~OutputFile() {
  if (fd_ < 0) return;
  close(fd_);
  unlink(temporary_.c_str());
}

void OutputFile::Reserve(uint64_t size) {
  const int result = posix_fallocate(fd_, 0, static_cast<off_t>(size));
  // EINVAL and EOPNOTSUPP: the file system has no such call; the writes will tell.
  if (size > 0 && result != 0 && result != EINVAL && result != EOPNOTSUPP) {
    Fail(ErrorKind::kOutput, "{}: {} bytes are needed: {}", path_.string(), size, strerror(result));
  }
}

void OutputFile::WriteAt(uint64_t offset, std::span<const std::byte> bytes) {
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n =
        pwrite(fd_, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      Fail(ErrorKind::kOutput, "{}: writing at byte {} failed: {}", path_.string(), offset + done,
           strerror(errno));
    }
    done += static_cast<size_t>(n);
  }
#ifdef SYNC_FILE_RANGE_WRITE
  // The disk starts on the whole pages at once, so that Sync has less to wait for. Whatever comes
  // of it, Sync tells.
  constexpr uint64_t kPage = 4096;
  const uint64_t begin = (offset + kPage - 1) / kPage * kPage;
  const uint64_t end = (offset + bytes.size()) / kPage * kPage;
  if (end > begin) {
    sync_file_range(fd_, static_cast<off_t>(begin), static_cast<off_t>(end - begin),
                    SYNC_FILE_RANGE_WRITE);
  }
#endif
}

void OutputFile::Sync() {
  if (fsync(fd_) != 0) {
    Fail(ErrorKind::kOutput, "{}: cannot be synced: {}", path_.string(), strerror(errno));
  }
}

void OutputFile::Commit() {
  Sync();
  RefuseExisting(path_, overwrite_);
  Rename(temporary_, path_);
  close(fd_);
  fd_ = -1;
  SyncPath(path_.parent_path(), O_RDONLY | O_DIRECTORY);
}

OutputFolder::OutputFolder(const fs::path& path, Overwrite overwrite)
    : path_(Normal(path)), temporary_(BesideName(path_)), overwrite_(overwrite) {
  RefuseExisting(path_, overwrite);
  if (fs::exists(path_) && !fs::is_directory(path_)) {
    Fail(ErrorKind::kOutput, "{}: is a file, a folder is to be written", path_.string());
  }
  RemoveLeftovers(path_);
  std::error_code error;
  if (!fs::create_directory(temporary_, error)) {
    Fail(ErrorKind::kOutput, "{}: cannot be written beside: {}", path_.string(), error.message());
  }
  lock_ = open(temporary_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (lock_ >= 0) flock(lock_, LOCK_EX | LOCK_NB);
}

OutputFolder::~OutputFolder() {
  std::error_code ignored;
  if (!temporary_.empty()) fs::remove_all(temporary_, ignored);
  if (lock_ >= 0) close(lock_);
}

void OutputFolder::WriteFile(const std::string& name, std::string_view text) {
  const fs::path path = temporary_ / name;
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  if (error) {
    Fail(ErrorKind::kOutput, "{}: the folder cannot be made: {}", path.string(), error.message());
  }
  OutputFile file(path, Overwrite::kRefuse);
  file.WriteAt(0, std::as_bytes(std::span(text)));
  file.Commit();
}

void OutputFolder::Commit() {
  for (const auto& entry : fs::recursive_directory_iterator(temporary_)) {
    if (entry.is_regular_file()) SyncPath(entry.path(), O_RDONLY);
  }
  SyncPath(temporary_, O_RDONLY | O_DIRECTORY);
  RefuseExisting(path_, overwrite_);
  if (fs::exists(path_)) {
    const fs::path old = BesideName(path_);
    Rename(path_, old);
    Rename(temporary_, path_);
    std::error_code ignored;
    fs::remove_all(old, ignored);
  } else {
    Rename(temporary_, path_);
  }
  temporary_.clear();
  SyncPath(path_.parent_path(), O_RDONLY | O_DIRECTORY);
}

uint64_t FreeSpace(const fs::path& path) {
  std::error_code error;
  const fs::space_info space = fs::space(fs::absolute(path).parent_path(), error);
  if (error) {
    Fail(ErrorKind::kOutput, "{}: the free space cannot be read: {}", path.string(),
         error.message());
  }
  return space.available;
}

}  // namespace quern
