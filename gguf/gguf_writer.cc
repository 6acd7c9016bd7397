#include "gguf/gguf_writer.h"

#include <algorithm>

#include "base/error.h"
#include "gguf/gguf_reader.h"
#include "gguf/keys.h"
#include "gguf/split_name.h"

namespace quern {
namespace fs = std::filesystem;
namespace {

class ByteWriter {
 public:
  template <typename T>
  void Number(T value) {
    Raw(std::as_bytes(std::span(&value, 1)));
  }
  void Text(std::string_view text) {
    Number<uint64_t>(text.size());
    Raw(std::as_bytes(std::span(text)));
  }
  void Raw(std::span<const std::byte> bytes) {
    const size_t end = bytes_.size();
    bytes_.resize(end + bytes.size());
    std::copy(bytes.begin(), bytes.end(), bytes_.begin() + static_cast<ptrdiff_t>(end));
  }
  void PadTo(uint64_t alignment) {
    bytes_.resize((bytes_.size() + alignment - 1) / alignment * alignment);
  }
  std::vector<std::byte> Take() { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

void WriteValue(ByteWriter& out, const Value& value) {
  std::visit(
      [&](const auto& v) {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::string>) {
          out.Text(v);
        } else if constexpr (std::is_same_v<T, Array>) {
          out.Number(static_cast<uint32_t>(v.type()));
          out.Number<uint64_t>(v.size());
          out.Raw(v.bytes());
          for (const std::string& text : v.strings()) out.Text(text);
        } else {
          out.Number(v);
        }
      },
      value.variant());
}

uint64_t AlignmentOf(const Metadata& metadata) {
  return static_cast<uint64_t>(metadata.Int(keys::kAlignment).value_or(32));
}

// The file of each tensor: the plan's own, or as many as fit one after the other.
std::vector<size_t> FilesOf(const std::vector<TensorInfo>& tensors, const SplitPlan& plan) {
  if (!plan.file_of.empty()) {
    QUERN_CHECK(plan.file_of.size() == tensors.size());
    return plan.file_of;
  }
  std::vector<size_t> file_of;
  size_t file = 0;
  int64_t count = 0, bytes = 0;
  for (const TensorInfo& tensor : tensors) {
    const bool full = (plan.max_tensors > 0 && count >= plan.max_tensors) ||
                      (plan.max_bytes > 0 && bytes + tensor.bytes() > plan.max_bytes);
    if (full && count > 0) {
      ++file;
      count = bytes = 0;
    }
    ++count;
    bytes += tensor.bytes();
    file_of.push_back(file);
  }
  return file_of;
}

// "out.gguf" -> "out", so that the splits are out-00001-of-00002.gguf.
fs::path SplitPrefix(const fs::path& path) {
  if (const auto split = ParseSplitName(path)) return split->prefix;
  return path.extension() == ".gguf" ? fs::path(path).replace_extension() : path;
}

}  // namespace

std::vector<std::byte> GgufHeaderBytes(const Metadata& metadata,
                                       const std::vector<TensorInfo>& tensors,
                                       std::vector<uint64_t>& offsets) {
  const uint64_t alignment = AlignmentOf(metadata);
  ByteWriter out;
  out.Raw(std::as_bytes(std::span(std::string_view("GGUF"))));
  out.Number<uint32_t>(3);
  out.Number<uint64_t>(tensors.size());
  out.Number<uint64_t>(metadata.entries().size());
  for (const auto& [key, value] : metadata.entries()) {
    out.Text(key);
    out.Number(static_cast<uint32_t>(value.type()));
    WriteValue(out, value);
  }
  uint64_t offset = 0;
  offsets.clear();
  for (const TensorInfo& tensor : tensors) {
    out.Text(tensor.name);
    out.Number(static_cast<uint32_t>(tensor.shape.size()));
    for (const int64_t size : tensor.shape) out.Number<uint64_t>(static_cast<uint64_t>(size));
    out.Number(static_cast<uint32_t>(tensor.type));
    out.Number<uint64_t>(offset);
    offsets.push_back(offset);
    offset += (static_cast<uint64_t>(tensor.bytes()) + alignment - 1) / alignment * alignment;
  }
  out.PadTo(alignment);
  return out.Take();
}

struct GgufSink::File {
  File(const fs::path& path, Overwrite overwrite) : output(path, overwrite) {}
  OutputFile output;
  std::vector<TensorInfo> tensors;
  Metadata metadata;
  uint64_t size = 0;
};

GgufSink::GgufSink(const fs::path& path, const Metadata& metadata, std::vector<TensorInfo> tensors,
                   Overwrite overwrite, const SplitPlan& plan)
    : tensors_(std::move(tensors)), places_(tensors_.size()), rows_written_(tensors_.size()) {
  const std::vector<size_t> file_of = FilesOf(tensors_, plan);
  const size_t count = file_of.empty() ? 1 : file_of.back() + 1;
  for (size_t f = 0; f < count; ++f) {
    const fs::path name = plan.splits() ? SplitPath(SplitPrefix(path), static_cast<int64_t>(f),
                                                    static_cast<int64_t>(count))
                                        : path;
    files_.push_back(std::make_unique<File>(name, overwrite));
    Metadata& keys = files_[f]->metadata;
    if (f == 0) keys = metadata;
    if (plan.splits()) {
      keys.SetLast(keys::kSplitNo, static_cast<uint16_t>(f));
      keys.SetLast(keys::kSplitCount, static_cast<uint16_t>(count));
      keys.SetLast(keys::kSplitTensors, static_cast<int32_t>(tensors_.size()));
    }
  }
  for (size_t t = 0; t < tensors_.size(); ++t) files_[file_of[t]]->tensors.push_back(tensors_[t]);
  for (size_t f = 0, t = 0; f < count; ++f) {
    File& file = *files_[f];
    std::vector<uint64_t> offsets;
    const auto header = GgufHeaderBytes(file.metadata, file.tensors, offsets);
    file.size = header.size();
    const uint64_t alignment = AlignmentOf(file.metadata);
    for (size_t i = 0; i < offsets.size(); ++i, ++t) {
      places_[t] = {f, header.size() + offsets[i]};
      const auto bytes = static_cast<uint64_t>(tensors_[t].bytes());
      file.size = places_[t].offset + (bytes + alignment - 1) / alignment * alignment;
    }
    file.output.Reserve(file.size);
    file.output.WriteAt(0, header);
    // The padding behind the last tensor is part of the file where the disk could not be reserved.
    if (file.size > header.size()) file.output.WriteAt(file.size - 1, std::vector(1, std::byte{}));
  }
}

GgufSink::~GgufSink() = default;

void GgufSink::WriteRows(size_t index, int64_t first, std::span<const std::byte> rows) {
  const TensorInfo& tensor = tensors_[index];
  const auto row_bytes = static_cast<size_t>(tensor.row_bytes());
  QUERN_CHECK(rows.size() % row_bytes == 0);
  const auto count = static_cast<int64_t>(rows.size() / row_bytes);
  QUERN_CHECK(first >= 0 && first + count <= tensor.rows());
  const Place& place = places_[index];
  files_[place.file]->output.WriteAt(place.offset + static_cast<uint64_t>(first) * row_bytes, rows);
  std::lock_guard lock(mutex_);
  rows_written_[index] += count;
}

void GgufSink::ReplaceKey(std::string_view key, Value value) {
  File& file = *files_.front();
  QUERN_CHECK(file.metadata.Has(key));
  std::vector<uint64_t> offsets;
  const size_t size = GgufHeaderBytes(file.metadata, file.tensors, offsets).size();
  file.metadata.Set(key, std::move(value));
  const auto header = GgufHeaderBytes(file.metadata, file.tensors, offsets);
  QUERN_CHECK(header.size() == size);
  file.output.WriteAt(0, header);
}

void GgufSink::Validate(const File& file) const {
  const MappedFile written(file.output.temporary_path());
  const std::string name = file.output.path().string();
  const GgufHeader header = ParseGgufHeader(written.bytes(), written.bytes().size(), name);
  const bool same = std::equal(header.tensors.begin(), header.tensors.end(), file.tensors.begin(),
                               file.tensors.end(), [](const TensorInfo& a, const TensorInfo& b) {
                                 return a.name == b.name && a.type == b.type && a.shape == b.shape;
                               });
  if (!same || written.bytes().size() != file.size) {
    Fail(ErrorKind::kOutput, "{}: does not read back as it was written", name);
  }
}

void GgufSink::Commit() {
  for (size_t t = 0; t < tensors_.size(); ++t) QUERN_CHECK(rows_written_[t] == tensors_[t].rows());
  for (auto& file : files_) {
    file->output.Sync();
    Validate(*file);
  }
  for (auto& file : files_) file->output.Commit();
}

std::vector<fs::path> GgufSink::paths() const {
  std::vector<fs::path> paths;
  for (const auto& file : files_) paths.push_back(file->output.path());
  return paths;
}

uint64_t GgufSink::total_bytes() const {
  uint64_t total = 0;
  for (const auto& file : files_) total += file->size;
  return total;
}

}  // namespace quern
