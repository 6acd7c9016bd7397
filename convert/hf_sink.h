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

// The size of a shard that transformers writes where it is told nothing.
inline constexpr int64_t kDefaultShardBytes = 5'000'000'000;

// Writes a Hugging Face folder: model.safetensors, or where the tensors have more than
// `max_shard_bytes` model-0000k-of-0000n.safetensors and model.safetensors.index.json. A tensor
// larger than that has a shard of its own. An adapter's `stem` is "adapter_model". Names are HF's,
// shapes GGUF's order. The folder appears at Commit. Errors: kOutput; kUnsupported for a type that
// safetensors lacks.
class HfSink : public TensorSink {
 public:
  HfSink(const std::filesystem::path& folder, std::vector<TensorInfo> tensors, Overwrite overwrite,
         int64_t max_shard_bytes = kDefaultShardBytes, std::string stem = "model");
  ~HfSink() override;

  // What stands beside the weights: config.json, the tokenizer's files.
  void AddFile(const std::string& name, std::string_view text);

  void WriteRows(size_t index, int64_t first, std::span<const std::byte> rows) override;
  void Commit() override;

  const std::filesystem::path& path() const { return folder_.path(); }
  size_t shard_count() const { return shards_.size(); }
  int64_t total_bytes() const;

 private:
  struct Place {
    size_t shard;
    uint64_t offset;
  };
  void PlanShards(int64_t max_shard_bytes);
  void WriteHeader(size_t shard);
  std::string ShardName(size_t shard) const;
  std::string IndexName() const { return stem_ + ".safetensors.index.json"; }
  std::string IndexText() const;
  void Validate() const;

  OutputFolder folder_;
  std::string stem_;
  std::vector<TensorInfo> tensors_;
  std::vector<Place> places_;
  std::vector<std::unique_ptr<OutputFile>> shards_;
  std::mutex mutex_;
  std::vector<int64_t> rows_written_;
};

}  // namespace quern
