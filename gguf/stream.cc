#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <optional>

#include "base/cancel.h"
#include "base/parallel.h"
#include "gguf/tensor_sink.h"

namespace quern {
namespace {

// Rows of a tensor.
struct Piece {
  size_t tensor;
  int64_t first, count;
};

// The rows of all tensors in the file's order, a piece after the other.
class Pieces {
 public:
  Pieces(const TensorSource& source, const PieceWeights& weights)
      : tensors_(source.tensors()), weights_(weights) {
    int64_t total = 0;
    for (const TensorInfo& tensor : tensors_) total += tensor.bytes();
    // Writes of a MB cost the system least; a short file has to have pieces for every thread.
    constexpr int64_t kLeast = int64_t{1} << 16, kMost = int64_t{1} << 20;
    bytes_ = std::clamp(total / (32 * ThreadCount()), kLeast, kMost);
  }

  std::optional<Piece> Next() {
    while (tensor_ < tensors_.size() && row_ == tensors_[tensor_].rows()) {
      ++tensor_;
      row_ = 0;
    }
    if (tensor_ == tensors_.size()) return std::nullopt;
    const TensorInfo& tensor = tensors_[tensor_];
    const int64_t weights = weights_ ? weights_() : 0;
    const int64_t rows = weights > 0 ? weights / std::max<int64_t>(tensor.cols(), 1)
                                     : bytes_ / std::max<int64_t>(tensor.row_bytes(), 1);
    const Piece piece{tensor_, row_, std::clamp<int64_t>(rows, 1, tensor.rows() - row_)};
    row_ += piece.count;
    return piece;
  }

 private:
  const std::vector<TensorInfo>& tensors_;
  const PieceWeights& weights_;
  int64_t bytes_;
  size_t tensor_ = 0;
  int64_t row_ = 0;
};

}  // namespace

void Stream(const TensorSource& source, TensorSink& sink, Progress& progress,
            const PieceWeights& piece_weights) {
  Pieces pieces(source, piece_weights);
  const auto total = static_cast<int64_t>(source.tensors().size());
  std::mutex mutex;
  const auto take = [&] {
    std::lock_guard lock(mutex);
    const std::optional<Piece> piece = pieces.Next();
    if (piece && piece->first == 0) {
      progress.Step(static_cast<int64_t>(piece->tensor) + 1, total,
                    source.tensors()[piece->tensor].name);
    }
    return piece;
  };
  // Workers take pieces in the file's order, so that reads and writes stay nearly sequential.
  ParallelFor(ThreadCount(), 1, [&](int64_t, int64_t) {
    std::vector<std::byte> buffer;
    while (const std::optional<Piece> piece = take()) {
      ThrowIfCancelled();
      const TensorInfo& tensor = source.tensors()[piece->tensor];
      buffer.resize(static_cast<size_t>(piece->count * tensor.row_bytes()));
      source.ReadRows(piece->tensor, piece->first, piece->count, buffer);
      sink.WriteRows(piece->tensor, piece->first, buffer);
    }
  });
}

}  // namespace quern
