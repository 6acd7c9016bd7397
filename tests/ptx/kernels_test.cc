#include <doctest/doctest.h>

#include "base/error.h"
#include "kernels/codec.h"
#include "kernels/codec_targets.h"
#include "kernels/cuda/cuda_device.h"
#include "tests/golden/block_table.h"

// The instructions that nvcc made of kernels/cuda/ give the processor's bytes. This program has
// cuda_runtime.cc in the place of CUDA's, so that the codec target `cuda` runs them.
namespace quern {
namespace {

using testing::BlockImportance;
using testing::BlockInput;

struct Coded {
  std::vector<std::byte> bytes;
  std::vector<float> weights;
};

Coded CodeWith(std::string_view target, Type type, std::span<const float> in,
               std::span<const float> importance) {
  REQUIRE(UseCodecTarget(target));
  const int64_t cols = testing::kBlockCols;
  const int64_t rows = std::ssize(in) / cols;
  Coded coded;
  coded.bytes.resize(static_cast<size_t>(rows * RowBytes(type, cols)));
  coded.weights.resize(in.size());
  EncodeRows(type, in.data(), rows, cols, importance, coded.bytes.data());
  Decode(type, coded.bytes.data(), std::ssize(coded.weights), coded.weights.data());
  UseCodecTarget("");
  return coded;
}

TEST_CASE("the GPU's instructions encode and decode every type as the processor does") {
  REQUIRE(OpenCudaDevice(0)->name() == "PTX on the processor (cuda:0)");
  for (const Type type : testing::BlockTypes()) {
    CAPTURE(NameOf(type));
    for (const size_t matrix : {0, 1, 2}) {
      if (matrix == 0 && NeedsImportance(type)) continue;
      CAPTURE(matrix);
      const std::vector<float> importance = BlockImportance(matrix, 9);
      for (size_t kind = 0; kind < testing::BlockInputNames().size(); ++kind) {
        CAPTURE(testing::BlockInputNames()[kind]);
        // One row of each kind, two of the usual one.
        std::vector<float> in = BlockInput(kind, 9);
        in.resize((kind == 0 ? 2 : 1) * testing::kBlockCols);
        const Coded wanted = CodeWith("scalar", type, in, importance);
        const Coded got = CodeWith("cuda", type, in, importance);
        CHECK((got.bytes == wanted.bytes));
        CHECK((got.weights == wanted.weights));
      }
    }
  }
}

// A tile has at most 128 blocks of 32 weights or 64 of 256.
TEST_CASE("the GPU's instructions encode and decode more than a tile, and where points are alike") {
  const std::vector<float> tied = testing::TiedInput(4);
  const std::vector<float> alike(testing::kBlockCols, 1.0f);
  std::vector<float> normal = BlockInput(0, 9);
  const std::vector<float> more = BlockInput(0, 10);
  normal.insert(normal.end(), more.begin(), more.begin() + testing::kBlockCols);
  const std::vector<float> importance = BlockImportance(1, 9);
  const auto check = [](Type type, std::span<const float> in, std::span<const float> weights) {
    const Coded wanted = CodeWith("scalar", type, in, weights);
    const Coded got = CodeWith("cuda", type, in, weights);
    CHECK((got.bytes == wanted.bytes));
    CHECK((got.weights == wanted.weights));
  };
  for (const Type type : testing::BlockTypes()) {
    CAPTURE(NameOf(type));
    check(type, normal, NeedsImportance(type) ? std::span(importance) : std::span<const float>());
    check(type, std::span(tied).first(4 * testing::kBlockCols), alike);
  }
}

}  // namespace
}  // namespace quern
