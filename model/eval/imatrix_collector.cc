#include "model/eval/imatrix_collector.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/cancel.h"
#include "base/error.h"
#include "base/parallel.h"
#include "gguf/gguf_writer.h"
#include "gguf/keys.h"

namespace quern {
namespace {

constexpr std::string_view kSums = ".in_sum2", kCounts = ".counts";
// Beyond this a float is no count any more that could be added to.
constexpr float kMostTokens = 9e15F;
constexpr const char* kDatasets = "imatrix.datasets";
constexpr const char* kChunkCount = "imatrix.chunk_count";
constexpr const char* kChunkSize = "imatrix.chunk_size";

std::vector<float> FloatsOf(const GgufModel& file, size_t tensor) {
  const TensorInfo& info = file.tensors()[tensor];
  if (info.type != Type::kF32) {
    Fail(ErrorKind::kBadInput, "{}: tensor '{}' is of type {}, an imatrix holds f32", file.name(),
         info.name, NameOf(info.type));
  }
  const auto bytes = file.ReadAll(tensor);
  std::vector<float> values(bytes.size() / sizeof(float));
  if (!bytes.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

// Appends numbers and text to a file's bytes.
template <typename T>
void Append(std::vector<std::byte>& out, T value) {
  const auto bytes = std::as_bytes(std::span(&value, 1));
  out.insert(out.end(), bytes.begin(), bytes.end());
}
void AppendText(std::vector<std::byte>& out, const std::string& text) {
  Append(out, static_cast<int32_t>(text.size()));
  const auto bytes = std::as_bytes(std::span(text));
  out.insert(out.end(), bytes.begin(), bytes.end());
}

}  // namespace

void ImatrixCollector::Input(std::string_view weight_name, const float* x, int64_t tokens,
                             int64_t cols) {
  if (weight_name == "output.weight" && !process_output_) return;
  Entry& entry =
      EntryOf("the files that were joined", std::string(weight_name), static_cast<size_t>(cols), 1);
  for (int64_t& count : entry.tokens) count += tokens;
  ParallelFor(cols, 512, [&](int64_t begin, int64_t end) {
    for (int64_t t = 0; t < tokens; ++t) {
      for (int64_t c = begin; c < end; ++c) {
        const double value = x[t * cols + c];
        entry.sums[static_cast<size_t>(c)] += value * value;
      }
    }
  });
}

void ImatrixCollector::Add(const GgufModel& file) {
  if (file.metadata().Text(keys::kType).value_or("") != "imatrix") {
    Fail(ErrorKind::kBadInput, "{}: is no importance matrix", file.name());
  }
  for (size_t i = 0; i < file.tensors().size(); ++i) {
    const std::string& name = file.tensors()[i].name;
    if (!name.ends_with(kSums)) continue;
    const std::string stem = name.substr(0, name.size() - kSums.size());
    const auto place = file.Find(stem + std::string(kCounts));
    if (!place) Fail(ErrorKind::kBadInput, "{}: '{}' has no counts", file.name(), name);
    const auto sums = FloatsOf(file, i);
    const auto counts = FloatsOf(file, *place);
    if (counts.empty() || sums.empty() || sums.size() % counts.size() != 0) {
      Fail(ErrorKind::kBadInput,
           "{}: '{}' has {} sums and {} counts, the first should be a multiple", file.name(), stem,
           sums.size(), counts.size());
    }
    Entry& entry = EntryOf(file.name(), stem, sums.size(), counts.size());
    for (size_t c = 0; c < sums.size(); ++c) entry.sums[c] += sums[c];
    for (size_t e = 0; e < entry.tokens.size(); ++e) {
      const float count = counts[counts.size() == 1 ? 0 : e];
      if (!(count >= 0 && count < kMostTokens)) {
        Fail(ErrorKind::kBadInput, "{}: '{}' counts {} tokens", file.name(), stem, count);
      }
      entry.tokens[e] += std::llround(count);
    }
  }
  if (const Array* names = file.metadata().FindArray(kDatasets)) {
    datasets_.insert(datasets_.end(), names->strings().begin(), names->strings().end());
  }
}

void ImatrixCollector::AddMeans(const std::string& file, const std::string& weight_name,
                                std::span<const float> means, int64_t tokens) {
  Entry& entry = EntryOf(file, weight_name, means.size(), 1);
  for (size_t c = 0; c < means.size(); ++c) {
    entry.sums[c] += static_cast<double>(means[c]) * static_cast<double>(tokens);
  }
  for (int64_t& count : entry.tokens) count += tokens;
}

// The entry of this name for so many sums and counts. One count that is there already stands for
// each expert.
ImatrixCollector::Entry& ImatrixCollector::EntryOf(const std::string& file, const std::string& name,
                                                   size_t sums, size_t counts) {
  Entry& entry = entries_[name];
  if (entry.sums.empty()) {
    entry.sums.resize(sums);
    entry.tokens.resize(counts);
  }
  if (entry.sums.size() != sums) {
    Fail(ErrorKind::kBadInput, "{}: '{}' has {} columns, elsewhere {}", file, name, sums,
         entry.sums.size());
  }
  if (entry.tokens.size() == 1 && counts > 1) entry.tokens.resize(counts, entry.tokens[0]);
  if (counts > 1 && entry.tokens.size() != counts) {
    Fail(ErrorKind::kBadInput, "{}: '{}' has {} experts, elsewhere {}", file, name, counts,
         entry.tokens.size());
  }
  return entry;
}

void ImatrixCollector::CheckFinite() const {
  for (const auto& [name, entry] : entries_) {
    for (const double sum : entry.sums) {
      if (!std::isfinite(static_cast<float>(sum))) {
        Fail(ErrorKind::kNonFinite, "{}: its inputs are not finite", name);
      }
    }
  }
}

int64_t ImatrixCollector::Chunks(int64_t chunk_size) const {
  int64_t most = 0;
  for (const auto& [name, entry] : entries_) {
    for (const int64_t tokens : entry.tokens) most = std::max(most, tokens);
  }
  return most / chunk_size;
}

void ImatrixCollector::WriteGguf(const std::filesystem::path& path, int64_t chunk_size,
                                 Overwrite overwrite) const {
  CheckFinite();
  Metadata metadata;
  metadata.Set(keys::kType, "imatrix");
  metadata.Set(kDatasets, Array(datasets_));
  metadata.Set(kChunkCount, static_cast<uint32_t>(Chunks(chunk_size)));
  metadata.Set(kChunkSize, static_cast<uint32_t>(chunk_size));
  std::vector<TensorInfo> tensors;
  for (const auto& [name, entry] : entries_) {
    const auto cols = static_cast<int64_t>(entry.cols());
    const int64_t experts = std::ssize(entry.tokens);
    const auto shape = [&](int64_t n) {
      return experts > 1 ? std::vector{n, experts} : std::vector{n};
    };
    tensors.push_back({name + std::string(kSums), Type::kF32, shape(cols)});
    tensors.push_back({name + std::string(kCounts), Type::kF32, shape(1)});
  }
  GgufSink sink(path, metadata, tensors, overwrite);
  size_t index = 0;
  for (const auto& [name, entry] : entries_) {
    const std::vector<float> sums(entry.sums.begin(), entry.sums.end());
    const std::vector<float> counts(entry.tokens.begin(), entry.tokens.end());
    sink.WriteRows(index++, 0, std::as_bytes(std::span(sums)));
    sink.WriteRows(index++, 0, std::as_bytes(std::span(counts)));
  }
  sink.Commit();
}

void ImatrixCollector::WriteDat(const std::filesystem::path& path, int64_t chunk_size,
                                Overwrite overwrite) const {
  CheckFinite();
  std::vector<std::byte> out;
  Append(out, static_cast<int32_t>(entries_.size()));
  for (const auto& [name, entry] : entries_) {
    // The old form keeps the mean square times the number of chunks; 1 stands for an expert that
    // no token chose.
    const int64_t most = *std::max_element(entry.tokens.begin(), entry.tokens.end());
    const int64_t calls = (most + chunk_size - 1) / chunk_size;
    AppendText(out, name);
    Append(out, static_cast<int32_t>(calls));
    Append(out, static_cast<int32_t>(entry.sums.size()));
    for (size_t i = 0; i < entry.sums.size(); ++i) {
      const int64_t count = entry.tokens[i / entry.cols()];
      const double mean = count > 0 ? entry.sums[i] / static_cast<double>(count) : 1.0;
      Append(out, static_cast<float>(mean * static_cast<double>(calls)));
    }
  }
  Append(out, static_cast<int32_t>(Chunks(chunk_size)));
  AppendText(out, datasets_.empty() ? std::string() : datasets_.back());
  OutputFile file(path, overwrite);
  file.WriteAt(0, out);
  file.Commit();
}

void CollectImatrix(Forward& forward, ImatrixCollector& collector, std::span<const TokenId> tokens,
                    TokenId bos, int64_t context, int64_t first, int64_t chunks,
                    const std::function<void(int64_t done, int64_t total)>& on_chunk) {
  int64_t total = context > 0 ? std::ssize(tokens) / context - first : 0;
  if (first < 0 || total < 1) {
    Fail(ErrorKind::kUsage, "the text has {} tokens, chunk {} of {} does not fit", tokens.size(),
         first + 1, context);
  }
  tokens = tokens.subspan(static_cast<size_t>(first * context));
  if (chunks >= 0) total = std::min(total, chunks);
  KvCache cache(forward.weights().hyper(), context, Type::kF16);
  struct Detach {
    Forward& forward;
    ~Detach() { forward.set_observer(nullptr); }
  } detach{forward};
  forward.set_observer(&collector);
  for (int64_t i = 0; i < total; ++i) {
    ThrowIfCancelled();
    const auto at = tokens.subspan(static_cast<size_t>(i * context), static_cast<size_t>(context));
    std::vector<TokenId> chunk(at.begin(), at.end());
    if (bos >= 0) chunk[0] = bos;
    cache.Truncate(0);
    const Segment segment{&cache, chunk, 0};
    const std::vector<float> hidden = forward.Run({&segment, 1});
    // The logits themselves are not needed. Where the output is the embedding's matrix, it is
    // measured like all others.
    collector.Input(forward.weights().output.name, hidden.data(), context,
                    forward.weights().hyper().embd);
    if (on_chunk) on_chunk(i + 1, total);
  }
}

}  // namespace quern
