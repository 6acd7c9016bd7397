#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "convert/stored_tensor.h"
#include "gguf/tensor_source.h"

namespace quern {

// A checkpoint of PyTorch's world as a source: names and values as they are in its files, shapes in
// GGUF's order. The tensors come file by file in the order of the files' names, those of a
// safetensors file by their names, those of a torch file in its dictionary's order.
class Checkpoint : public TensorSource {
 public:
  // A folder: model.safetensors, or its index and shards, or pytorch_model.bin likewise. A file:
  // one safetensors or torch file, or an index. All that headers and index say is checked here,
  // and no value is read before ReadRows. Errors: kBadInput (a shard that is missing, truncated or
  // contradicts the index is named), kUnsupported (dtypes, old torch files).
  static std::shared_ptr<Checkpoint> Open(const std::filesystem::path& folder_or_file);
  // Whether Open finds weights in the folder.
  static bool IsIn(const std::filesystem::path& folder) { return !MainFile(folder).empty(); }

  // The dtype as safetensors names it; of type i8 are "I8", "U8" and "BOOL".
  std::string_view DtypeOf(size_t index) const { return places_[index].dtype; }
  // The file that holds the tensor.
  const std::string& PathOf(size_t index) const { return files_[places_[index].file]->name(); }
  // All files that hold tensors.
  std::vector<std::filesystem::path> paths() const;

  void ReadRows(size_t index, int64_t first, int64_t count,
                std::span<std::byte> out) const override;
  // Bytes of the tensor from `offset` on, through the ends of rows.
  void ReadBytes(size_t index, uint64_t offset, std::span<std::byte> out) const;

 private:
  struct Place {
    size_t file;
    uint64_t offset;
    std::string_view dtype;
  };
  struct Parts;
  explicit Checkpoint(Parts parts);
  // The file that Open begins with; empty where there is none.
  static std::filesystem::path MainFile(const std::filesystem::path& folder);
  static Parts OpenFile(const std::filesystem::path& path);
  static Parts OpenIndex(const std::filesystem::path& path);

  std::vector<std::unique_ptr<InputFile>> files_;
  std::vector<Place> places_;
};

}  // namespace quern
