#include <algorithm>

#include "gguf/byte_swap.h"
#include "gguf/gguf_reader.h"
#include "gguf/keys.h"
#include "gguf/split_name.h"

namespace quern {
namespace fs = std::filesystem;
namespace {

GgufHeader ReadHeader(const fs::path& path) {
  // The header is parsed from a mapping that ends here; the data are read through pread.
  const MappedFile file(path);
  return ParseGgufHeader(file.bytes(), file.bytes().size(), file.name());
}

int64_t SplitCount(const Metadata& metadata) {
  const int64_t count = metadata.Int(keys::kSplitCount).value_or(1);
  if (count < 0 || count > 99999) {
    Fail(ErrorKind::kBadInput, "{}: split.count is {}, at most 99999 are possible", metadata.name(),
         count);
  }
  return std::max<int64_t>(count, 1);
}

void CheckSplit(const GgufHeader& header, int64_t number, int64_t count) {
  const Metadata& metadata = header.metadata;
  if (metadata.NeedInt(keys::kSplitNo) != number || metadata.NeedInt(keys::kSplitCount) != count) {
    Fail(ErrorKind::kBadInput, "{}: says it is split {} of {}, {} of {} is wanted", metadata.name(),
         metadata.NeedInt(keys::kSplitNo) + 1, metadata.NeedInt(keys::kSplitCount), number + 1,
         count);
  }
}

}  // namespace

std::shared_ptr<GgufModel> GgufModel::Open(const fs::path& path) {
  std::vector<File> files;
  files.push_back({std::make_unique<InputFile>(path), ReadHeader(path)});
  const int64_t count = SplitCount(files[0].header.metadata);
  if (count > 1) {
    CheckSplit(files[0].header, 0, count);
    const auto split = ParseSplitName(path);
    if (!split || split->count != count) {
      Fail(ErrorKind::kBadInput, "{}: is the first of {} splits, its name should end in {}",
           path.string(), count, SplitSuffix(0, count));
    }
    for (int64_t i = 1; i < count; ++i) {
      const fs::path next = SplitPath(split->prefix, i, count);
      files.push_back({std::make_unique<InputFile>(next), ReadHeader(next)});
      CheckSplit(files.back().header, i, count);
    }
  }
  std::vector<TensorInfo> tensors;
  std::vector<Place> places;
  std::unordered_map<std::string, size_t> seen;
  for (size_t f = 0; f < files.size(); ++f) {
    const GgufHeader& header = files[f].header;
    for (size_t t = 0; t < header.tensors.size(); ++t) {
      if (!seen.try_emplace(header.tensors[t].name, f).second) {
        Fail(ErrorKind::kBadInput, "{}: tensor '{}' stands in another split too",
             files[f].input->name(), header.tensors[t].name);
      }
      tensors.push_back(header.tensors[t]);
      places.push_back({f, header.offsets[t]});
    }
  }
  const auto total = files[0].header.metadata.Int(keys::kSplitTensors);
  if (count > 1 && total && *total != static_cast<int64_t>(tensors.size())) {
    Fail(ErrorKind::kBadInput, "{}: split.tensors.count is {}, the splits have {}", path.string(),
         *total, tensors.size());
  }
  return std::shared_ptr<GgufModel>(
      new GgufModel(path.string(), std::move(tensors), std::move(files), std::move(places)));
}

GgufModel::GgufModel(std::string name, std::vector<TensorInfo> tensors, std::vector<File> files,
                     std::vector<Place> places)
    : TensorSource(std::move(name), std::move(tensors)),
      metadata_(files[0].header.metadata),
      files_(std::move(files)),
      places_(std::move(places)) {}

uint64_t GgufModel::TotalBytes() const {
  uint64_t total = 0;
  for (const File& file : files_) total += file.input->size();
  return total;
}

void GgufModel::ReadRows(size_t index, int64_t first, int64_t count,
                         std::span<std::byte> out) const {
  const TensorInfo& tensor = tensors()[index];
  QUERN_CHECK(first >= 0 && count >= 0 && first + count <= tensor.rows());
  QUERN_CHECK(out.size() == static_cast<size_t>(count * tensor.row_bytes()));
  const Place& place = places_[index];
  const File& file = files_[place.file];
  file.input->ReadAt(place.offset + static_cast<uint64_t>(first * tensor.row_bytes()), out);
  if (file.header.order == ByteOrder::kBig) SwapBlocks(tensor.type, out);
}

}  // namespace quern
