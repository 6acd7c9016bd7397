#include "cli/merge_record.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/file.h"

namespace quern::cli {
namespace fs = std::filesystem;
using nlohmann::ordered_json;
namespace {

constexpr std::string_view kKeys = "quern.merge.";
constexpr std::string_view kBaseHashes = "quern.merge.base.xxh64";
constexpr const char* kNoHash = "0000000000000000";
// An exact sum of weight * scale * B A; every other way is a Combination.
constexpr const char* kSum = "sum";

// The folder or file that the user knows a model or an adapter by.
std::string NameOfPath(const fs::path& path) {
  const fs::path name = path.filename();
  return (name.empty() ? path.parent_path().filename() : name).string();
}

std::string AdapterPath(const LoraAdapter& adapter) {
  const fs::path file = adapter.name();
  return (file.filename().string().starts_with("adapter_model.") ? file.parent_path() : file)
      .string();
}

std::vector<FileHash> HashAdapter(const LoraAdapter& adapter) {
  std::vector<fs::path> files = {adapter.name()};
  if (adapter.config().name != adapter.name() && fs::is_regular_file(adapter.config().name)) {
    files.emplace_back(adapter.config().name);
  }
  return FileHashes(std::move(files)).Get();
}

ordered_json JsonOf(const std::vector<FileHash>& files) {
  auto list = ordered_json::array();
  for (const FileHash& file : files) {
    list.push_back({{"name", NameOfPath(file.path)}, {"bytes", file.bytes}, {"xxh64", file.xxh64}});
  }
  return list;
}

ordered_json JsonOf(const CombineOptions& combine) {
  return {{"way", NameOf(combine.combination)},
          {"density", combine.density},
          {"elect_by_count", combine.by_frequency},
          {"svd_rank", combine.svd_rank},
          {"seed", combine.seed}};
}

Array Numbers(const std::vector<double>& values) { return Array::Of<double>(values); }

}  // namespace

MergeRecord::MergeRecord(const MergeBase& base, std::span<const WeightedAdapter> adapters,
                         const std::optional<CombineOptions>& combine, MergeReport report)
    : base_path_(base.path),
      base_mode_(base.dequantized ? "dequantized" : "original"),
      method_(base.method),
      base_files_(std::make_unique<FileHashes>(base.files)),
      combine_(combine),
      report_(std::move(report)) {
  for (const WeightedAdapter& weighted : adapters) {
    const LoraAdapter& adapter = *weighted.adapter;
    adapters_.push_back({.path = AdapterPath(adapter),
                         .weight = weighted.weight,
                         .rank = adapter.config().rank,
                         .alpha = adapter.config().alpha,
                         .files = HashAdapter(adapter)});
  }
}

void MergeRecord::SetKeys(Metadata& keys) const {
  std::vector<std::string> old;
  for (const auto& [key, value] : keys.entries()) {
    if (key.starts_with(kKeys)) old.push_back(key);
  }
  for (const std::string& key : old) keys.Remove(key);
  const auto set = [&](const char* key, Value value) {
    keys.Set(std::string(kKeys) + key, std::move(value));
  };
  set("version", QUERN_VERSION);
  set("base.name", NameOfPath(base_path_));
  set("base.mode", base_mode_);
  if (!method_.empty()) set("base.quantization", method_);
  std::vector<std::string> files;
  for (const fs::path& path : base_files_->paths()) files.push_back(NameOfPath(path));
  keys.Set(kBaseHashes, Array(std::vector<std::string>(files.size(), kNoHash)));
  set("base.files", Array(std::move(files)));
  std::vector<std::string> names, hashes, tensors;
  std::vector<double> weights, scales, norms;
  for (const Adapter& adapter : adapters_) {
    names.push_back(NameOfPath(adapter.path));
    hashes.push_back(adapter.files.front().xxh64);
    weights.push_back(adapter.weight);
  }
  set("adapter.names", Array(std::move(names)));
  set("adapter.xxh64", Array(std::move(hashes)));
  set("adapter.weights", Numbers(weights));
  set("combination", combine_ ? std::string(NameOf(combine_->combination)) : kSum);
  for (const MergeDelta& delta : report_.deltas) {
    tensors.push_back(delta.tensor);
    scales.push_back(delta.scale);
    norms.push_back(delta.norm);
  }
  set("delta.tensors", Array(std::move(tensors)));
  set("delta.scales", Numbers(scales));
  set("delta.norms", Numbers(norms));
  set("norm", report_.total_norm);
  set("untied", report_.untied);
  if (report_.vocab > 0) set("vocab_size", static_cast<uint32_t>(report_.vocab));
}

void MergeRecord::CompleteKeys(GgufSink& sink) {
  std::vector<std::string> hashes;
  for (const FileHash& file : base_files_->Get()) hashes.push_back(file.xxh64);
  sink.ReplaceKey(kBaseHashes, Array(std::move(hashes)));
}

std::string MergeRecord::Manifest(const std::string& output) {
  ordered_json out;
  out["quern"] = QUERN_VERSION;
  out["output"] = output;
  out["base"] = {{"path", base_path_}, {"mode", base_mode_}};
  if (!method_.empty()) out["base"]["quantization"] = method_;
  out["base"]["files"] = JsonOf(base_files_->Get());
  out["adapters"] = ordered_json::array();
  for (const Adapter& adapter : adapters_) {
    out["adapters"].push_back({{"path", adapter.path},
                               {"weight", adapter.weight},
                               {"rank", adapter.rank},
                               {"alpha", adapter.alpha},
                               {"files", JsonOf(adapter.files)}});
  }
  out["combination"] = combine_ ? JsonOf(*combine_) : ordered_json({{"way", kSum}});
  out["deltas"] = ordered_json::array();
  for (const MergeDelta& delta : report_.deltas) {
    out["deltas"].push_back({{"tensor", delta.tensor},
                             {"kind", delta.kind},
                             {"adapter", delta.adapter},
                             {"rank", delta.rank},
                             {"scale", delta.scale},
                             {"norm", delta.norm}});
  }
  out["total_norm"] = report_.total_norm;
  out["untied"] = report_.untied;
  if (report_.vocab > 0) {
    out["vocab_size"] = report_.vocab;
    out["vocab_from"] = report_.vocab_adapter;
  }
  out["notes"] = report_.notes;
  if (check_) {
    out["verified"] = {{"tensors", check_->tensors},
                       {"changed", check_->changed},
                       {"quantized", check_->quantized},
                       {"max_steps", check_->max_steps},
                       {"worst", check_->worst}};
  }
  return out.dump(1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

void MergeRecord::WriteBeside(const fs::path& gguf) {
  const std::string text = Manifest(gguf.string());
  OutputFile file(gguf.string() + kMergeManifestEnding, Overwrite::kReplace);
  file.WriteAt(0, std::as_bytes(std::span(text)));
  file.Commit();
}

}  // namespace quern::cli
