#include <doctest/doctest.h>

#include <atomic>
#include <mutex>

#include "gguf/tensor_sink.h"
#include "tests/support/memory_source.h"

// How tensors go from a source to a sink in pieces.
namespace quern {
namespace {

using testing::MemorySource;

class Recorder : public TensorSink {
 public:
  struct Piece {
    size_t tensor;
    int64_t first;
    size_t bytes;
  };

  void WriteRows(size_t index, int64_t first, std::span<const std::byte> rows) override {
    std::lock_guard lock(mutex_);
    pieces.push_back({index, first, rows.size()});
  }
  void Commit() override {}

  std::vector<Piece> pieces;

 private:
  std::mutex mutex_;
};

// Of each tensor, which rows came how often.
std::vector<std::vector<int>> RowsOf(const MemorySource& source, const Recorder& recorder) {
  std::vector<std::vector<int>> rows;
  for (const TensorInfo& tensor : source.tensors()) {
    rows.emplace_back(static_cast<size_t>(tensor.rows()));
  }
  for (const Recorder::Piece& piece : recorder.pieces) {
    const auto row_bytes = static_cast<size_t>(source.tensors()[piece.tensor].row_bytes());
    REQUIRE(piece.bytes % row_bytes == 0);
    for (size_t r = 0; r < piece.bytes / row_bytes; ++r) {
      ++rows.at(piece.tensor).at(static_cast<size_t>(piece.first) + r);
    }
  }
  return rows;
}

TEST_CASE("every row comes once, whatever the pieces' sizes, which may change on the way") {
  const MemorySource source("memory", {{"a", {4, 1000}, std::vector<float>(4000)},
                                       {"none", {4, 0}, {}},
                                       {"b", {64, 7}, std::vector<float>(448)},
                                       {"c", {3}, std::vector<float>(3)}});
  NoProgress quiet;
  std::atomic<int64_t> asked = 0;
  const PieceWeights choices[] = {{},
                                  [] { return 1; },
                                  [] { return 100; },
                                  [&asked] { return asked++ % 3 == 0 ? 0 : asked * 10; }};
  for (const PieceWeights& choice : choices) {
    Recorder recorder;
    Stream(source, recorder, quiet, choice);
    const auto rows = RowsOf(source, recorder);
    CHECK(rows == std::vector<std::vector<int>>{
                      std::vector<int>(1000, 1), {}, std::vector<int>(7, 1), {1}});
    for (const Recorder::Piece& piece : recorder.pieces) {
      if (&choice == &choices[1]) CHECK(piece.bytes <= 64 * 4);
      if (&choice == &choices[2]) CHECK(piece.bytes <= 100 * 4);
    }
  }
  CHECK(asked > 3);
}

}  // namespace
}  // namespace quern
