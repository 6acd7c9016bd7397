#include <fmt/format.h>

#include <filesystem>

#include "adapters/merge_check.h"
#include "base/error.h"
#include "base/file.h"
#include "cli/adapter_list.h"
#include "cli/merge_lora.h"
#include "gguf/gguf_reader.h"

namespace quern::cli {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void FailUsage(const std::string& message) { Fail(ErrorKind::kUsage, "{}", message); }

// How --combine makes one adapter of several, if it does.
std::optional<CombineOptions> CombinationOf(const MergeOptions& options) {
  if (options.combination.empty()) return std::nullopt;
  CombineOptions combine = options.combine;
  const auto combination = CombinationFromName(options.combination);
  if (!combination) FailUsage(fmt::format("--combine {}: there is no such", options.combination));
  combine.combination = *combination;
  return combine;
}

// The adapters that are merged: those of the command line, or what --combine makes of them.
std::vector<WeightedAdapter> AdaptersFor(const MergeBase& base, const MergeOptions& options,
                                         const std::vector<WeightedAdapter>& named) {
  const auto combine = CombinationOf(options);
  if (!combine) return named;
  // Each must fit the base by itself, too.
  for (const WeightedAdapter& adapter : named) {
    PlanMerge(*base.tensors, base.names, std::span(&adapter, 1));
  }
  return {{.adapter = CombineAdapters(named, *combine), .weight = 1}};
}

}  // namespace

Merge PlanMergeOf(MergeBase base, const MergeOptions& options) {
  const auto named = OpenAdapters(options.adapters, options.base);
  auto tensors =
      std::make_shared<MergedSource>(base.tensors, base.names, AdaptersFor(base, options, named));
  auto record =
      std::make_unique<MergeRecord>(base, named, CombinationOf(options), tensors->report());
  return {.base = std::move(base), .tensors = std::move(tensors), .record = std::move(record)};
}

// Opens everything anew, and compares the output with W + B A in double.
void VerifyMerge(const MergeOptions& options, MergeRecord& record, const TensorSource& written,
                 const BaseNames& names) {
  const MergeBase base = fs::is_directory(options.base)
                             ? OpenHfBase(options.base, options.base_mode)
                             : OpenGgufBase(GgufModel::Open(options.base), options.base_mode);
  const auto adapters = AdaptersFor(base, options, OpenAdapters(options.adapters, options.base));
  record.SetCheck(CheckMerge(*base.tensors, base.names, adapters, written, names));
}

void CheckSpace(const MergeOptions& options, const TensorSource& source) {
  int64_t needed = 0;
  for (const TensorInfo& tensor : source.tensors()) needed += tensor.bytes();
  const uint64_t free = FreeSpace(options.out);
  if (static_cast<uint64_t>(needed) > free) {
    Fail(ErrorKind::kOutput, "{}: needs {} bytes, the disk has {} left", options.out, needed, free);
  }
}

}  // namespace quern::cli
