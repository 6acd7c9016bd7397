#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "gguf/tensor_sink.h"

namespace quern {

// Writes a folder with consolidated.00.pth, a dictionary of tensors as torch.save leaves it: a zip
// of a pickle and of one entry for each tensor, its data aligned to 64 bytes. Rows may come in any
// order; the folder appears at Commit. Errors: kOutput; kUnsupported for a type that torch lacks.
class PthSink : public TensorSink {
 public:
  PthSink(const std::filesystem::path& folder, std::vector<TensorInfo> tensors,
          Overwrite overwrite);
  ~PthSink() override;

  // What stands beside the weights.
  void AddFile(const std::string& name, std::string_view text);

  void WriteRows(size_t index, int64_t first, std::span<const std::byte> rows) override;
  void Commit() override;

 private:
  // A run of a tensor's rows, and its checksum.
  struct Piece {
    int64_t first;
    uint64_t bytes;
    uint32_t crc;
  };
  struct Entry {
    std::string name;
    uint64_t header = 0, data = 0, size = 0;  // where it begins, where its bytes do, how many
    uint32_t crc = 0;
  };
  void AddEntry(const std::string& name, uint64_t size);
  void AddSmall(const std::string& name, std::string_view text);
  uint32_t CrcOf(size_t tensor);
  void WriteLocalHeader(const Entry& entry);
  void WriteDirectory();
  void Validate() const;

  OutputFolder folder_;
  std::vector<TensorInfo> tensors_;
  std::vector<Entry> entries_;  // those of the tensors stand first
  std::unique_ptr<OutputFile> file_;
  uint64_t end_ = 0;
  std::mutex mutex_;
  std::vector<std::vector<Piece>> pieces_;  // of each tensor
};

}  // namespace quern
