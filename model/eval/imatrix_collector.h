#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "gguf/gguf_reader.h"
#include "model/eval/scoring.h"
#include "model/forward.h"

namespace quern {

// Gathers an importance matrix: for every weight matrix the sum of the squares of each column's
// inputs, as llama-imatrix does. Attach it to a Forward with set_observer.
class ImatrixCollector : public InputObserver {
 public:
  // With `process_output` the output matrix (output.weight) is measured, too.
  explicit ImatrixCollector(bool process_output) : process_output_(process_output) {}

  void Input(std::string_view weight_name, const float* x, int64_t tokens, int64_t cols) override;

  // Adds what an imatrix file in GGUF form holds, with a count for each expert of a tensor. Errors:
  // kBadInput for another kind of file or sums that contradict what is here.
  void Add(const GgufModel& file);
  // Adds the mean squares of `tokens` tokens, which is what a .dat file has. Errors as of Add.
  void AddMeans(const std::string& file, const std::string& weight_name,
                std::span<const float> means, int64_t tokens);
  void AddDataset(std::string name) { datasets_.push_back(std::move(name)); }

  // Both forms that llama-imatrix writes. chunk_size: tokens per chunk. Error kNonFinite for sums
  // that are not finite, kOutput where the file cannot be written.
  void WriteGguf(const std::filesystem::path& path, int64_t chunk_size, Overwrite overwrite) const;
  void WriteDat(const std::filesystem::path& path, int64_t chunk_size, Overwrite overwrite) const;

  struct Entry {
    std::vector<double> sums;     // of x^2, by column, expert after expert
    std::vector<int64_t> tokens;  // by expert; one number for what is not of experts
    // The columns of one expert.
    size_t cols() const { return sums.size() / tokens.size(); }
  };
  const std::map<std::string, Entry>& entries() const { return entries_; }

 private:
  Entry& EntryOf(const std::string& file, const std::string& name, size_t sums, size_t counts);
  int64_t Chunks(int64_t chunk_size) const;
  void CheckFinite() const;

  bool process_output_;
  std::map<std::string, Entry> entries_;
  std::vector<std::string> datasets_;
};

// Runs the chunks of `context` tokens (from the one of number `first` on, at most `chunks` of them;
// -1: all) through the model, each with `bos` for its first token unless that is -1. `on_chunk` is
// told how many are done, and of how many. Errors: kUsage where the text is shorter than a chunk,
// kBadInput as of Forward::Run.
void CollectImatrix(Forward& forward, ImatrixCollector& collector, std::span<const TokenId> tokens,
                    TokenId bos, int64_t context, int64_t first, int64_t chunks,
                    const std::function<void(int64_t done, int64_t total)>& on_chunk);

}  // namespace quern
