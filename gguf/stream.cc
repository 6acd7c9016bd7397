#include <fmt/format.h>

#include <algorithm>
#include <mutex>

#include "base/cancel.h"
#include "base/parallel.h"
#include "gguf/tensor_sink.h"

namespace quern {
namespace {

struct Piece {
  size_t tensor;
  int64_t first, count;
};

// Writes of a MB cost the system least; a short file has to have pieces for every thread.
int64_t PieceBytes(const TensorSource& source) {
  int64_t total = 0;
  for (const TensorInfo& tensor : source.tensors()) total += tensor.bytes();
  constexpr int64_t kLeast = int64_t{1} << 16, kMost = int64_t{1} << 20;
  return std::clamp(total / (32 * ThreadCount()), kLeast, kMost);
}

std::vector<Piece> Pieces(const TensorSource& source, int64_t piece_weights) {
  std::vector<Piece> pieces;
  const int64_t piece_bytes = PieceBytes(source);
  const auto& tensors = source.tensors();
  for (size_t t = 0; t < tensors.size(); ++t) {
    const int64_t step = piece_weights > 0
                             ? piece_weights / std::max<int64_t>(tensors[t].cols(), 1)
                             : piece_bytes / std::max<int64_t>(tensors[t].row_bytes(), 1);
    const int64_t rows = std::max<int64_t>(step, 1);
    for (int64_t row = 0; row < tensors[t].rows(); row += rows) {
      pieces.push_back({t, row, std::min(rows, tensors[t].rows() - row)});
    }
  }
  return pieces;
}

}  // namespace

void Stream(const TensorSource& source, TensorSink& sink, Progress& progress,
            int64_t piece_weights) {
  const std::vector<Piece> pieces = Pieces(source, piece_weights);
  const auto total = static_cast<int64_t>(source.tensors().size());
  std::mutex mutex;
  int64_t next = 0;
  auto take = [&]() -> const Piece* {
    std::lock_guard lock(mutex);
    if (next == static_cast<int64_t>(pieces.size())) return nullptr;
    const Piece* piece = &pieces[static_cast<size_t>(next++)];
    if (piece->first == 0) {
      progress.Step(static_cast<int64_t>(piece->tensor) + 1, total,
                    source.tensors()[piece->tensor].name);
    }
    return piece;
  };
  // Workers take pieces in the file's order, so that reads and writes stay nearly sequential.
  ParallelFor(ThreadCount(), 1, [&](int64_t, int64_t) {
    std::vector<std::byte> buffer;
    while (const Piece* piece = take()) {
      ThrowIfCancelled();
      const TensorInfo& tensor = source.tensors()[piece->tensor];
      buffer.resize(static_cast<size_t>(piece->count * tensor.row_bytes()));
      source.ReadRows(piece->tensor, piece->first, piece->count, buffer);
      sink.WriteRows(piece->tensor, piece->first, buffer);
    }
  });
}

}  // namespace quern
