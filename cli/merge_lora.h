#pragma once

#include <memory>
#include <string>
#include <vector>

#include "adapters/combine.h"
#include "adapters/merged_source.h"
#include "base/progress.h"
#include "cli/base_mode.h"
#include "cli/merge_record.h"

namespace quern::cli {

// merge-lora's options.
struct MergeOptions {
  std::vector<std::string> words;     // BASE ADAPTER... OUT
  std::vector<std::string> adapters;  // "folder" or "folder:0.5"
  std::string base, out, format = "hf", outtype, shard_size = "5G";
  std::string combination;  // empty: the exact weighted sum
  CombineOptions combine;
  BaseModeOptions base_mode;
  int threads = 0;
  bool force = false, json = false, quiet = false, verify = false;

  Overwrite overwrite() const { return force ? Overwrite::kReplace : Overwrite::kRefuse; }
};

// A base with its adapters, planned and checked, and the record of it.
struct Merge {
  MergeBase base;
  std::shared_ptr<const MergedSource> tensors;
  std::unique_ptr<MergeRecord> record;
  const MergeReport& report() const { return tensors->report(); }
};

// Opens and plans. Errors are OpenAdapters', OpenHfBase's and MergedSource's.
Merge PlanMergeOf(MergeBase base, const MergeOptions& options);

// Opens everything anew, compares an output with W + B A in double, and records what was found.
void VerifyMerge(const MergeOptions& options, MergeRecord& record, const TensorSource& written,
                 const BaseNames& names);

// Error kOutput where the disk has no room for the tensors.
void CheckSpace(const MergeOptions& options, const TensorSource& source);

// A HF folder merged into a HF folder, or into a folder of Llama's own code (--format pth).
std::unique_ptr<MergeRecord> MergeIntoFolder(const MergeOptions& options, Progress& progress);
std::unique_ptr<MergeRecord> MergeIntoPth(const MergeOptions& options, Progress& progress);

}  // namespace quern::cli
