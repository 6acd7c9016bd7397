#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <vector>

#include "base/file.h"
#include "gguf/metadata.h"
#include "gguf/tensor_sink.h"

namespace quern {

// Where the tensors of a model are cut into files.
struct SplitPlan {
  int64_t max_tensors = 0;  // per file; 0: any number
  int64_t max_bytes = 0;    // of tensor data per file; 0: any number
  // The file of each tensor, ascending from 0; where it is given the limits do not count.
  std::vector<size_t> file_of;

  bool splits() const { return max_tensors > 0 || max_bytes > 0 || !file_of.empty(); }
};

// Header bytes of a GGUF v3 file, padded to its alignment (general.alignment, or 32).
// offsets: of each tensor from the end of the header.
std::vector<std::byte> GgufHeaderBytes(const Metadata& metadata,
                                       const std::vector<TensorInfo>& tensors,
                                       std::vector<uint64_t>& offsets);

// Writes GGUF v3: one file, or with a plan OUT-00001-of-0000N.gguf beside each other, the keys in
// the first. No file has its name before Commit.
class GgufSink : public TensorSink {
 public:
  GgufSink(const std::filesystem::path& path, const Metadata& metadata,
           std::vector<TensorInfo> tensors, Overwrite overwrite, const SplitPlan& plan = {});
  ~GgufSink() override;

  void WriteRows(size_t index, int64_t first, std::span<const std::byte> rows) override;
  void Commit() override;
  // Gives a key another value of as many bytes: for what is known only once the tensors are
  // written.
  void ReplaceKey(std::string_view key, Value value);
  // The final names.
  std::vector<std::filesystem::path> paths() const;
  uint64_t total_bytes() const;

 private:
  struct File;
  struct Place {
    size_t file;
    uint64_t offset;
  };
  void Validate(const File& file) const;

  std::vector<TensorInfo> tensors_;
  std::vector<std::unique_ptr<File>> files_;
  std::vector<Place> places_;
  std::mutex mutex_;
  std::vector<int64_t> rows_written_;
};

}  // namespace quern
