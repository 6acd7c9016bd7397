#include "convert/checkpoint.h"

#include <map>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "base/error.h"
#include "base/json_text.h"
#include "convert/safetensors.h"
#include "convert/torch_zip.h"

namespace quern {
namespace fs = std::filesystem;
namespace {

// The names of a shard's tensors, by the shard's file name.
using WeightMap = std::map<std::string, std::unordered_set<std::string>>;

// A shard lies beside its index: a name that leads elsewhere is an attack or a mistake.
void CheckShardName(const std::string& shard, const std::string& index) {
  const fs::path path(shard);
  if (shard.empty() || path.filename() != path || shard == "." || shard == ".." ||
      shard.find('\\') != std::string::npos || shard.find('\0') != std::string::npos) {
    Fail(ErrorKind::kBadInput, "{}: names the shard '{}', a plain file name is wanted", index,
         shard);
  }
}

WeightMap ReadWeightMap(const fs::path& index) {
  const std::string name = index.string();
  const nlohmann::json json = ParseJson(ReadFile(index, uint64_t{1} << 26), name);
  const auto map = json.is_object() ? json.find("weight_map") : json.end();
  if (map == json.end() || !map->is_object() || map->empty()) {
    Fail(ErrorKind::kBadInput, "{}: has no object 'weight_map'", name);
  }
  WeightMap shards;
  for (const auto& [tensor, shard] : map->items()) {
    if (!shard.is_string()) {
      Fail(ErrorKind::kBadInput, "{}: weight_map '{}' is no text", name, tensor);
    }
    const auto& file = shard.get_ref<const std::string&>();
    CheckShardName(file, name);
    shards[file].insert(tensor);
  }
  return shards;
}

// All of them, before the first is read: no work should begin that ends at the last shard.
void CheckShardsExist(const WeightMap& shards, const fs::path& index) {
  for (const auto& [shard, tensors] : shards) {
    if (!fs::exists(index.parent_path() / shard)) {
      Fail(ErrorKind::kBadInput, "{}: names the shard '{}' ({} tensors), which is not there",
           index.string(), shard, tensors.size());
    }
  }
}

void CheckShard(const InputFile& file, const std::vector<StoredTensor>& tensors,
                std::unordered_set<std::string> wanted, const fs::path& index) {
  for (const StoredTensor& tensor : tensors) {
    if (wanted.erase(tensor.info.name) == 0) {
      Fail(ErrorKind::kBadInput, "{}: has tensor '{}', which {} does not place there", file.name(),
           tensor.info.name, index.filename().string());
    }
  }
  if (!wanted.empty()) {
    Fail(ErrorKind::kBadInput, "{}: has no tensor '{}', which {} places there", file.name(),
         *wanted.begin(), index.filename().string());
  }
}

std::vector<StoredTensor> ReadTensors(const InputFile& file) {
  std::string head(std::min<uint64_t>(file.size(), 32), '\0');
  file.ReadAt(0, std::as_writable_bytes(std::span(head)));
  if (head.starts_with("version https://git-lfs")) {
    Fail(ErrorKind::kBadInput, "{}: is a Git LFS pointer, not the file itself (git lfs pull)",
         file.name());
  }
  // By the name: a safetensors header of the right length begins as a zip file or a pickle does.
  const bool torch = fs::path(file.name()).extension() != ".safetensors";
  return torch ? ReadTorchFile(file) : ReadSafetensors(file);
}

}  // namespace

struct Checkpoint::Parts {
  std::string name;
  std::vector<TensorInfo> tensors;
  std::vector<std::unique_ptr<InputFile>> files;
  std::vector<Place> places;

  void Add(std::unique_ptr<InputFile> file, std::vector<StoredTensor> stored) {
    for (StoredTensor& tensor : stored) {
      places.push_back({files.size(), tensor.offset, tensor.dtype});
      tensors.push_back(std::move(tensor.info));
    }
    files.push_back(std::move(file));
  }
};

Checkpoint::Checkpoint(Parts parts)
    : TensorSource(std::move(parts.name), std::move(parts.tensors)),
      files_(std::move(parts.files)),
      places_(std::move(parts.places)) {}

Checkpoint::Parts Checkpoint::OpenFile(const fs::path& path) {
  Parts parts;
  parts.name = path.string();
  auto file = std::make_unique<InputFile>(path);
  auto tensors = ReadTensors(*file);
  parts.Add(std::move(file), std::move(tensors));
  return parts;
}

Checkpoint::Parts Checkpoint::OpenIndex(const fs::path& path) {
  const WeightMap shards = ReadWeightMap(path);
  CheckShardsExist(shards, path);
  Parts parts;
  parts.name = path.string();
  // Names differ across shards too: CheckShard holds each to its part of the weight map.
  for (const auto& [shard, wanted] : shards) {
    auto file = std::make_unique<InputFile>(path.parent_path() / shard);
    auto tensors = ReadTensors(*file);
    CheckShard(*file, tensors, wanted, path);
    parts.Add(std::move(file), std::move(tensors));
  }
  return parts;
}

fs::path Checkpoint::MainFile(const fs::path& folder) {
  // In the order in which transformers looks for them.
  for (const char* name : {"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
                           "pytorch_model.bin.index.json"}) {
    if (fs::exists(folder / name)) return folder / name;
  }
  return {};
}

std::shared_ptr<Checkpoint> Checkpoint::Open(const fs::path& path) {
  const fs::path file = fs::is_directory(path) ? MainFile(path) : path;
  if (file.empty()) {
    Fail(ErrorKind::kBadInput,
         "{}: has no model.safetensors, no pytorch_model.bin and no index of either",
         path.string());
  }
  Parts parts = file.extension() == ".json" ? OpenIndex(file) : OpenFile(file);
  parts.name = path.string();
  return std::shared_ptr<Checkpoint>(new Checkpoint(std::move(parts)));
}

std::vector<fs::path> Checkpoint::paths() const {
  std::vector<fs::path> paths;
  for (const auto& file : files_) paths.emplace_back(file->name());
  return paths;
}

void Checkpoint::ReadRows(size_t index, int64_t first, int64_t count,
                          std::span<std::byte> out) const {
  const TensorInfo& tensor = tensors()[index];
  QUERN_CHECK(first >= 0 && count >= 0 && first + count <= tensor.rows());
  QUERN_CHECK(static_cast<int64_t>(out.size()) == count * tensor.row_bytes());
  ReadBytes(index, static_cast<uint64_t>(first * tensor.row_bytes()), out);
}

void Checkpoint::ReadBytes(size_t index, uint64_t offset, std::span<std::byte> out) const {
  const auto bytes = static_cast<uint64_t>(tensors()[index].bytes());
  QUERN_CHECK(offset <= bytes && out.size() <= bytes - offset);
  const Place& place = places_[index];
  files_[place.file]->ReadAt(place.offset + offset, out);
}

}  // namespace quern
