#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "base/progress.h"
#include "gguf/tensor_source.h"

namespace quern {

// Takes a list of tensors that it was told of when it was made, so that it knows every offset: rows
// come in any order from any thread. Nothing appears under the final name before Commit.
class TensorSink {
 public:
  virtual ~TensorSink() = default;
  TensorSink() = default;
  TensorSink(const TensorSink&) = delete;
  TensorSink& operator=(const TensorSink&) = delete;

  // Rows [first, ...) of tensor `index`: a whole number of rows.
  virtual void WriteRows(size_t index, int64_t first, std::span<const std::byte> rows) = 0;
  // Checks that every row came, syncs, re-opens, validates, renames.
  virtual void Commit() = 0;
};

// How many weights a thread best takes next; 0: about a MB as they are written.
using PieceWeights = std::function<int64_t()>;

// Streams every tensor of `source` into `sink`, whose list must be source.tensors(), on all threads
// and in about the file's order. A thread holds one piece, of one row at the least. Does not
// commit.
void Stream(const TensorSource& source, TensorSink& sink, Progress& progress,
            const PieceWeights& piece_weights = {});

}  // namespace quern
