#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "adapters/combine.h"
#include "adapters/merge_check.h"
#include "adapters/merge_plan.h"
#include "cli/base_mode.h"
#include "cli/file_hashes.h"
#include "gguf/gguf_writer.h"
#include "gguf/metadata.h"

namespace quern::cli {

// The manifest's name in a HF folder; beside a GGUF file it is that file's name with this ending.
inline constexpr const char* kMergeManifest = "quern-merge.json";
inline constexpr const char* kMergeManifestEnding = ".merge.json";

// What a merge was made of and what it did: a manifest beside the output, and keys quern.merge.* of
// a GGUF file.
class MergeRecord {
 public:
  // adapters: those that were named, before any combination. Hashes the files of the adapters, and
  // begins to hash those of the base.
  MergeRecord(const MergeBase& base, std::span<const WeightedAdapter> adapters,
              const std::optional<CombineOptions>& combine, MergeReport report);

  const MergeReport& report() const { return report_; }
  // What a check of the output found; the manifest tells it from then on.
  void SetCheck(const MergeCheck& check) { check_ = check; }
  const std::optional<MergeCheck>& check() const { return check_; }

  // In place of the keys of an earlier merge. The base's hashes are still zeros.
  void SetKeys(Metadata& keys) const;
  // Waits for the base's hashes, and gives them to the file that was written with those keys.
  void CompleteKeys(GgufSink& sink);
  // The manifest as JSON. Waits for the base's hashes.
  std::string Manifest(const std::string& output);
  // Writes it beside a GGUF file, in place of an older one.
  void WriteBeside(const std::filesystem::path& gguf);

 private:
  struct Adapter {
    std::string path;
    double weight;
    double rank, alpha;
    std::vector<FileHash> files;
  };
  std::string base_path_, base_mode_, method_;
  std::unique_ptr<FileHashes> base_files_;
  std::vector<Adapter> adapters_;
  std::optional<CombineOptions> combine_;
  MergeReport report_;
  std::optional<MergeCheck> check_;
};

}  // namespace quern::cli
