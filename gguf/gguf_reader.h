#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/cursor.h"
#include "base/file.h"
#include "gguf/metadata.h"
#include "gguf/tensor_source.h"

namespace quern {

// What stands before the data of one GGUF file.
struct GgufHeader {
  uint32_t version = 3;
  ByteOrder order = ByteOrder::kLittle;
  Metadata metadata;
  std::vector<TensorInfo> tensors;
  std::vector<uint64_t> offsets;  // of each tensor's data from the start of the file
  uint64_t data_start = 0;
};

// Parses and checks the header of a GGUF v2 or v3 file of `file_size` bytes that begins with
// `bytes` (all of it, or at least the header). Errors: kBadInput, and kUnsupported for a version or
// type that is not known. Nothing is read from the tensors.
GgufHeader ParseGgufHeader(std::span<const std::byte> bytes, uint64_t file_size,
                           const std::string& name);

// A GGUF model, of one file or of several splits, as a source. Data of a big-endian file comes out
// little-endian.
class GgufModel : public TensorSource {
 public:
  // `path` is the file, or the first split of several; the others are found by their names.
  static std::shared_ptr<GgufModel> Open(const std::filesystem::path& path);

  // The first file's keys (those of the splits are the same or split.* alone).
  const Metadata& metadata() const { return metadata_; }
  size_t file_count() const { return files_.size(); }
  const GgufHeader& header(size_t file) const { return files_[file].header; }
  // Which file holds the tensor, and where in it the data begin.
  size_t FileOf(size_t tensor) const { return places_[tensor].file; }
  uint64_t OffsetOf(size_t tensor) const { return places_[tensor].offset; }
  const std::string& PathOf(size_t file) const { return files_[file].input->name(); }
  uint64_t TotalBytes() const;

  void ReadRows(size_t index, int64_t first, int64_t count,
                std::span<std::byte> out) const override;

 private:
  struct File {
    std::unique_ptr<InputFile> input;
    GgufHeader header;
  };
  struct Place {
    size_t file;
    uint64_t offset;
  };
  GgufModel(std::string name, std::vector<TensorInfo> tensors, std::vector<File> files,
            std::vector<Place> places);

  Metadata metadata_;
  std::vector<File> files_;
  std::vector<Place> places_;
};

}  // namespace quern
