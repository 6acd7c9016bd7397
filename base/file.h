#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace quern {

// A file open for reading at any offset from any thread. Reads go through pread, so what was read
// does not stay in the process as mapped pages do.
class InputFile {
 public:
  // Error kBadInput where the file cannot be opened or is no regular file.
  explicit InputFile(const std::filesystem::path& path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  const std::string& name() const { return name_; }
  uint64_t size() const { return size_; }
  // Fills `out` from `offset`; error kBadInput where the file ends before.
  void ReadAt(uint64_t offset, std::span<std::byte> out) const;

 private:
  std::string name_;
  int fd_ = -1;
  uint64_t size_ = 0;
};

// A whole file mapped for reading.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::string& name() const { return name_; }
  std::span<const std::byte> bytes() const { return {data_, size_}; }

 private:
  std::string name_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

// The whole of a small file. Error kBadInput where it is larger than `limit` bytes.
std::string ReadFile(const std::filesystem::path& path, uint64_t limit = uint64_t{1} << 28);

// Whether an existing file or folder at `path` may be replaced.
enum class Overwrite { kRefuse, kReplace };

// An output that appears under its final name only when it is whole: written under a name beside
// it, synced, then renamed by Commit. Without Commit nothing is left. Errors are kOutput.
class OutputFile {
 public:
  // Refuses with kOutput where `path` exists and may not be replaced.
  OutputFile(const std::filesystem::path& path, Overwrite overwrite);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  const std::filesystem::path& path() const { return path_; }
  // Where the bytes are until Commit, so that they can be read back and validated.
  const std::filesystem::path& temporary_path() const { return temporary_; }
  // Asks the file system for `size` bytes at once, so that a full disk shows before the work.
  void Reserve(uint64_t size);
  // Any offset, any thread.
  void WriteAt(uint64_t offset, std::span<const std::byte> bytes);
  // To the disk; for a reader of temporary_path() before Commit.
  void Sync();
  void Commit();

 private:
  std::filesystem::path path_, temporary_;
  Overwrite overwrite_;
  int fd_ = -1;
};

// The same for a folder: files are made below temporary_path(), Commit syncs them and renames the
// whole. A folder that is replaced stays whole until the new one is.
class OutputFolder {
 public:
  OutputFolder(const std::filesystem::path& path, Overwrite overwrite);
  ~OutputFolder();
  OutputFolder(const OutputFolder&) = delete;
  OutputFolder& operator=(const OutputFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  const std::filesystem::path& temporary_path() const { return temporary_; }
  // `name` may lie in a folder of its own: "templates/default.jinja".
  void WriteFile(const std::string& name, std::string_view text);
  void Commit();

 private:
  std::filesystem::path path_, temporary_;
  Overwrite overwrite_;
  int lock_ = -1;
};

// Free bytes where `path` is or would be made.
uint64_t FreeSpace(const std::filesystem::path& path);

}  // namespace quern
