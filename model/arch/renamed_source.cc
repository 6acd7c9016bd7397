#include "model/arch/renamed_source.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace quern {
namespace {

std::vector<TensorInfo> Renamed(const TensorSource& source,
                                const std::vector<RenamedSource::Entry>& entries) {
  std::vector<TensorInfo> tensors;
  for (const RenamedSource::Entry& entry : entries) {
    TensorInfo info = source.tensors()[entry.index];
    info.name = entry.name;
    if (entry.head_rows > 0) {
      const int64_t rows = info.shape.size() == 1 ? info.cols() : info.rows();
      QUERN_CHECK(entry.head_rows % 2 == 0 && rows % entry.head_rows == 0);
      QUERN_CHECK(info.shape.size() > 1 || !IsQuantized(info.type));
    }
    tensors.push_back(std::move(info));
  }
  return tensors;
}

}  // namespace

RenamedSource::RenamedSource(std::shared_ptr<const TensorSource> source, std::vector<Entry> entries,
                             RowDirection direction)
    : TensorSource(source->name(), Renamed(*source, entries)),
      source_(std::move(source)),
      entries_(std::move(entries)),
      direction_(direction) {}

void RenamedSource::ReadRows(size_t index, int64_t first, int64_t count,
                             std::span<std::byte> out) const {
  const Entry& entry = entries_[index];
  if (entry.head_rows == 0) {
    source_->ReadRows(entry.index, first, count, out);
  } else if (tensors()[index].shape.size() == 1) {
    if (count > 0) ReadPermutedBias(entry, out);
  } else {
    ReadPermuted(entry, first, count, out);
  }
}

// Rows that lie together in the source are read together: into GGUF's order these are two runs per
// head, and a source that merges or decodes pays its fixed cost once per run.
void RenamedSource::ReadPermuted(const Entry& entry, int64_t first, int64_t count,
                                 std::span<std::byte> out) const {
  struct Move {
    int64_t from, to;
  };
  std::vector<Move> moves;
  for (int64_t i = 0; i < count; ++i) {
    moves.push_back({SourceRow(direction_, first + i, entry.head_rows), i});
  }
  std::sort(moves.begin(), moves.end(), [](Move a, Move b) { return a.from < b.from; });
  const auto row_bytes = static_cast<size_t>(source_->tensors()[entry.index].row_bytes());
  std::vector<std::byte> run;
  for (size_t begin = 0; begin < moves.size();) {
    size_t end = begin + 1;
    while (end < moves.size() && moves[end].from == moves[end - 1].from + 1) ++end;
    run.resize((end - begin) * row_bytes);
    source_->ReadRows(entry.index, moves[begin].from, static_cast<int64_t>(end - begin), run);
    for (size_t i = begin; i < end; ++i) {
      std::memcpy(out.data() + static_cast<size_t>(moves[i].to) * row_bytes,
                  run.data() + (i - begin) * row_bytes, row_bytes);
    }
    begin = end;
  }
}

void RenamedSource::ReadPermutedBias(const Entry& entry, std::span<std::byte> out) const {
  const TensorInfo& info = source_->tensors()[entry.index];
  const std::vector<std::byte> row = source_->ReadAll(entry.index);
  const auto size = static_cast<size_t>(InfoOf(info.type).bytes);
  for (int64_t i = 0; i < info.cols(); ++i) {
    const int64_t from = SourceRow(direction_, i, entry.head_rows);
    std::memcpy(out.data() + static_cast<size_t>(i) * size,
                row.data() + static_cast<size_t>(from) * size, size);
  }
}

}  // namespace quern
