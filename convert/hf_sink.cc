#include "convert/hf_sink.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>

#include "base/error.h"
#include "convert/checkpoint.h"
#include "convert/stored_tensor.h"

namespace quern {
namespace {

std::string_view NeedDtype(const TensorInfo& tensor, const std::string& folder) {
  const auto dtype = DtypeNameOf(tensor.type);
  if (!dtype) {
    Fail(ErrorKind::kUnsupported, "{}: tensor '{}' is {}, which safetensors has no dtype for",
         folder, tensor.name, NameOf(tensor.type));
  }
  return *dtype;
}

}  // namespace

HfSink::HfSink(const std::filesystem::path& folder, std::vector<TensorInfo> tensors,
               Overwrite overwrite, int64_t max_shard_bytes, std::string stem)
    : folder_(folder, overwrite),
      stem_(std::move(stem)),
      tensors_(std::move(tensors)),
      places_(tensors_.size()),
      rows_written_(tensors_.size()) {
  for (const TensorInfo& tensor : tensors_) NeedDtype(tensor, folder.string());
  PlanShards(max_shard_bytes);
  for (size_t i = 0; i < shards_.size(); ++i) {
    shards_[i] =
        std::make_unique<OutputFile>(folder_.temporary_path() / ShardName(i), Overwrite::kRefuse);
    WriteHeader(i);
  }
}

HfSink::~HfSink() = default;

int64_t HfSink::total_bytes() const {
  int64_t bytes = 0;
  for (const TensorInfo& tensor : tensors_) bytes += tensor.bytes();
  return bytes;
}

// In the tensors' order, as transformers fills its shards.
void HfSink::PlanShards(int64_t max_shard_bytes) {
  size_t shard = 0;
  int64_t filled = 0;
  for (size_t i = 0; i < tensors_.size(); ++i) {
    const int64_t bytes = tensors_[i].bytes();
    if (filled > 0 && bytes > max_shard_bytes - filled) {
      ++shard;
      filled = 0;
    }
    filled += bytes;
    places_[i].shard = shard;
  }
  shards_.resize(shard + 1);
}

// Lays out one shard and writes what stands before its data. The widest dtypes come first, as
// safetensors itself orders them: then every tensor is aligned to its elements.
void HfSink::WriteHeader(size_t shard) {
  std::vector<size_t> order;
  for (size_t i = 0; i < tensors_.size(); ++i) {
    if (places_[i].shard == shard) order.push_back(i);
  }
  const auto key = [this](size_t i) {
    return std::tuple(-InfoOf(tensors_[i].type).bytes, std::string_view(tensors_[i].name));
  };
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return key(a) < key(b); });

  nlohmann::ordered_json::object_t header;
  header.emplace_back("__metadata__", nlohmann::ordered_json{{"format", "pt"}});
  uint64_t end = 0;
  for (const size_t i : order) {
    const TensorInfo& tensor = tensors_[i];
    places_[i].offset = end;
    end += static_cast<uint64_t>(tensor.bytes());
    nlohmann::ordered_json entry;
    entry["dtype"] = NeedDtype(tensor, folder_.path().string());
    entry["shape"] = std::vector<int64_t>(tensor.shape.rbegin(), tensor.shape.rend());
    entry["data_offsets"] = {places_[i].offset, end};
    header.emplace_back(tensor.name, std::move(entry));
  }
  std::string text = nlohmann::ordered_json(std::move(header)).dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const uint64_t data_start = sizeof(uint64_t) + text.size();
  for (const size_t i : order) places_[i].offset += data_start;

  std::byte length[sizeof(uint64_t)];
  for (size_t i = 0; i < sizeof(length); ++i) {
    length[i] = static_cast<std::byte>(text.size() >> (8 * i) & 0xFF);
  }
  OutputFile& file = *shards_[shard];
  file.Reserve(data_start + end);
  file.WriteAt(0, length);
  file.WriteAt(sizeof(length), std::as_bytes(std::span(text)));
}

std::string HfSink::ShardName(size_t shard) const {
  if (shards_.size() == 1) return stem_ + ".safetensors";
  return fmt::format("{}-{:05}-of-{:05}.safetensors", stem_, shard + 1, shards_.size());
}

std::string HfSink::IndexText() const {
  nlohmann::json map = nlohmann::json::object();
  int64_t parameters = 0;
  for (size_t i = 0; i < tensors_.size(); ++i) {
    map[tensors_[i].name] = ShardName(places_[i].shard);
    parameters += tensors_[i].elements();
  }
  const nlohmann::json index = {
      {"metadata", {{"total_parameters", parameters}, {"total_size", total_bytes()}}},
      {"weight_map", std::move(map)}};
  return index.dump(2) + "\n";
}

void HfSink::AddFile(const std::string& name, std::string_view text) {
  folder_.WriteFile(name, text);
}

void HfSink::WriteRows(size_t index, int64_t first, std::span<const std::byte> rows) {
  const TensorInfo& tensor = tensors_[index];
  const int64_t count = static_cast<int64_t>(rows.size()) / tensor.row_bytes();
  QUERN_CHECK(count * tensor.row_bytes() == static_cast<int64_t>(rows.size()));
  QUERN_CHECK(first >= 0 && first + count <= tensor.rows());
  const Place& place = places_[index];
  shards_[place.shard]->WriteAt(place.offset + static_cast<uint64_t>(first * tensor.row_bytes()),
                                rows);
  const std::lock_guard lock(mutex_);
  rows_written_[index] += count;
}

void HfSink::Commit() {
  for (size_t i = 0; i < tensors_.size(); ++i) QUERN_CHECK(rows_written_[i] == tensors_[i].rows());
  for (const auto& shard : shards_) shard->Commit();
  if (shards_.size() > 1) AddFile(IndexName(), IndexText());
  Validate();
  folder_.Commit();
}

// What was written is what a reader finds.
void HfSink::Validate() const {
  const auto written = Checkpoint::Open(folder_.temporary_path() /
                                        (shards_.size() == 1 ? ShardName(0) : IndexName()));
  bool same = written->tensors().size() == tensors_.size();
  for (size_t i = 0; same && i < tensors_.size(); ++i) {
    const auto found = written->Find(tensors_[i].name);
    same = found && written->tensors()[*found].shape == tensors_[i].shape &&
           written->tensors()[*found].type == tensors_[i].type;
  }
  if (!same) {
    Fail(ErrorKind::kOutput, "{}: what was written reads back as something else",
         folder_.path().string());
  }
}

}  // namespace quern
