#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <future>
#include <string>
#include <vector>

namespace quern::cli {

struct FileHash {
  std::filesystem::path path;
  uint64_t bytes = 0;
  std::string xxh64;  // sixteen hexadecimal digits
};

// Hashes files on a thread of its own while other work reads them too: the disk is read once, since
// the pages that one of both has fetched serve the other.
class FileHashes {
 public:
  explicit FileHashes(std::vector<std::filesystem::path> paths);
  // Does not wait for what is not done.
  ~FileHashes();
  FileHashes(const FileHashes&) = delete;
  FileHashes& operator=(const FileHashes&) = delete;

  const std::vector<std::filesystem::path>& paths() const { return paths_; }
  // Waits. Error kBadInput for a file that cannot be read.
  const std::vector<FileHash>& Get();

 private:
  std::vector<std::filesystem::path> paths_;
  std::atomic<bool> stop_ = false;
  std::future<std::vector<FileHash>> work_;
  std::vector<FileHash> hashes_;
};

}  // namespace quern::cli
