#include "kernels/codec.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <map>
#include <sstream>
#include <string_view>

#include "base/hash.h"
#include "kernels/codec_targets.h"
#include "tests/golden/block_table.h"
#include "tests/support/paths.h"

namespace quern {
namespace {

using testing::BlockImportance;
using testing::BlockInput;
using testing::BlockTypes;
using testing::kBlockCols;

// The golden lines of each type.
std::map<std::string, std::vector<std::string>> GoldenLines() {
  std::map<std::string, std::vector<std::string>> lines;
  std::istringstream table(testing::ReadText(testing::TestData("goldens/blocks.csv")));
  std::string line;
  std::getline(table, line);
  REQUIRE(line == testing::BlockTableHeader());
  while (std::getline(table, line)) lines[line.substr(0, line.find(','))].push_back(line);
  return lines;
}

std::vector<std::byte> Encoded(Type type, std::span<const float> in, int64_t cols,
                               std::span<const float> importance) {
  const int64_t rows = std::ssize(in) / cols;
  std::vector<std::byte> bytes(static_cast<size_t>(rows * RowBytes(type, cols)));
  EncodeRows(type, in.data(), rows, cols, importance, bytes.data());
  return bytes;
}

// The bits of the decoded weights, and one NaN's for any NaN: those that arithmetic makes have
// other bits on a GPU than on x86.
std::vector<uint32_t> Decoded(Type type, const std::vector<std::byte>& bytes, size_t count) {
  std::vector<float> weights(count);
  Decode(type, bytes.data(), static_cast<int64_t>(count), weights.data());
  std::vector<uint32_t> bits;
  for (const float w : weights) {
    bits.push_back(std::bit_cast<uint32_t>(w == w ? w : std::numeric_limits<float>::quiet_NaN()));
  }
  return bits;
}

// 256 values with one whose products overflow and one that is denormal.
std::vector<float> WildImportance() {
  std::vector<float> importance = BlockImportance(2, 5);
  importance.resize(256);
  importance[3] = 1e30f;
  importance[200] = std::numeric_limits<float>::denorm_min();
  return importance;
}

// Restores the fastest target at the end of a test.
struct TargetGuard {
  ~TargetGuard() { UseCodecTarget(""); }
};

void CheckTargetsAgree(Type type, std::span<const float> in, int64_t cols,
                       std::span<const float> importance) {
  REQUIRE(UseCodecTarget("scalar"));
  const std::vector<std::byte> bytes = Encoded(type, in, cols, importance);
  const std::vector<uint32_t> weights = Decoded(type, bytes, in.size());
  for (const std::string& target : CodecTargets()) {
    CAPTURE(target);
    REQUIRE(UseCodecTarget(target));
    CHECK((Encoded(type, in, cols, importance) == bytes));
    CHECK((Decoded(type, bytes, in.size()) == weights));
  }
}

}  // namespace

TEST_CASE("every target gives the reference's bytes and weights") {
  const TargetGuard guard;
  const auto golden = GoldenLines();
  for (const std::string& target : CodecTargets()) {
    REQUIRE(UseCodecTarget(target));
    for (const Type type : BlockTypes()) {
      CAPTURE(target);
      CAPTURE(NameOf(type));
      const auto lines = golden.find(std::string(NameOf(type)));
      REQUIRE(lines != golden.end());
      CHECK(testing::BlockLines(type, 1) == lines->second);
    }
  }
}

TEST_CASE("targets agree with the scalar lane at any number of rows") {
  const TargetGuard guard;
  std::vector<float> weights = BlockInput(2, 7);
  const std::vector<float> outliers = BlockInput(5, 8);
  weights.insert(weights.end(), outliers.begin(), outliers.end());
  const std::vector<float> gaps = BlockImportance(2, 7);
  for (const Type type : BlockTypes()) {
    CAPTURE(NameOf(type));
    for (const int64_t cols : {int64_t{256}, int64_t{768}, kBlockCols}) {
      CAPTURE(cols);
      for (const int64_t rows : {1, 3, 17}) {
        CAPTURE(rows);
        const std::span in = std::span(weights).first(static_cast<size_t>(rows * cols));
        CheckTargetsAgree(type, in, cols, std::span(gaps).first(static_cast<size_t>(cols)));
        if (!NeedsImportance(type)) CheckTargetsAgree(type, in, cols, {});
      }
    }
  }
}

TEST_CASE("targets agree with the scalar lane where points are equally far, or nearly") {
  const TargetGuard guard;
  const std::vector<float> weights = testing::TiedInput(3);
  const std::vector<float> alike(kBlockCols, 1.0f);
  for (const Type type : BlockTypes()) {
    CAPTURE(NameOf(type));
    CheckTargetsAgree(type, weights, kBlockCols, alike);
    if (!NeedsImportance(type)) CheckTargetsAgree(type, weights, kBlockCols, {});
  }
}

TEST_CASE("targets agree with the scalar lane on more blocks than are fitted at once") {
  const TargetGuard guard;
  std::vector<float> weights;
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    const std::vector<float> normal = BlockInput(0, seed);
    weights.insert(weights.end(), normal.begin(), normal.end());
  }
  for (const int64_t blocks : {129, 319}) {
    const std::span in = std::span(weights).first(static_cast<size_t>(blocks * 256));
    CheckTargetsAgree(Type::kQ3_K, in, 256, {});
  }
}

TEST_CASE("rows can be encoded in any chunks") {
  const std::vector<float> weights = BlockInput(0, 3);
  const std::vector<float> importance = BlockImportance(1, 3);
  for (const Type type : BlockTypes()) {
    CAPTURE(NameOf(type));
    const std::vector<std::byte> whole = Encoded(type, weights, kBlockCols, importance);
    std::vector<std::byte> pieces;
    for (int64_t row = 0, rows; row < testing::kBlockRows; row += rows) {
      rows = std::min<int64_t>(row == 0 ? 1 : 5, testing::kBlockRows - row);
      const std::span chunk = std::span(weights).subspan(static_cast<size_t>(row * kBlockCols),
                                                         static_cast<size_t>(rows * kBlockCols));
      const std::vector<std::byte> piece = Encoded(type, chunk, kBlockCols, importance);
      pieces.insert(pieces.end(), piece.begin(), piece.end());
    }
    CHECK((pieces == whole));
  }
}

TEST_CASE("weights that no model should have do no harm, and targets agree on them") {
  const TargetGuard guard;
  constexpr float kInf = std::numeric_limits<float>::infinity();
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kTiny = std::numeric_limits<float>::denorm_min();
  // Each of these everywhere, and as one outlier among ordinary weights.
  const float values[] = {0.0f,    -0.0f,  1.0f,  -3.0f,  kTiny,
                          -1e-40f, 1e-37f, 3e38f, -3e38f, 65520.0f};
  const float broken[] = {kNan, kInf, -kInf};
  std::vector<std::vector<float>> inputs;
  for (const float value : values) {
    inputs.emplace_back(2 * 256, value);
    inputs.push_back(BlockInput(0, 5));
    inputs.back().resize(2 * 256);
    inputs.back()[77] = value;
  }
  std::vector<float> mixed(2 * 256);
  for (size_t i = 0; i < mixed.size(); ++i) mixed[i] = values[i * 7 % std::size(values)];
  inputs.push_back(mixed);
  const std::vector<float> importance = WildImportance();
  const std::vector<float> none(256, 0.0f);
  for (const Type type : BlockTypes()) {
    CAPTURE(NameOf(type));
    for (const std::vector<float>& input : inputs) {
      CheckTargetsAgree(type, input, 256, importance);
      CheckTargetsAgree(type, input, 256, none);
      if (!NeedsImportance(type)) CheckTargetsAgree(type, input, 256, {});
    }
    // What a NaN becomes differs by target; it must only not crash.
    for (const std::string& target : CodecTargets()) {
      REQUIRE(UseCodecTarget(target));
      for (const float value : broken) {
        std::vector<float> input = BlockInput(0, 5);
        input.resize(2 * 256);
        for (size_t i = 0; i < input.size(); i += 9) input[i] = value;
        std::vector<float> broken_importance = importance;
        broken_importance[100] = value;
        CHECK(!Encoded(type, input, 256, broken_importance).empty());
        CHECK(!Encoded(type, std::vector<float>(256, value), 256, importance).empty());
        if (!NeedsImportance(type)) CHECK(!Encoded(type, input, 256, {}).empty());
      }
    }
  }
}

TEST_CASE("where a matrix makes sums overflow, the bytes are the reference's") {
  // xxh64 of what ggml_quantize_chunk (August 2026) gives for two rows of these weights.
  const std::map<std::string_view, std::string_view> wanted = {
      {"q4_0", "2fe5ce4ebad9136b"},    {"q4_1", "45483891578aa94d"},
      {"q5_0", "63ae0e0e2f8ea1ff"},    {"q5_1", "6e5283d9a79d249c"},
      {"q8_0", "96b038bd3e6f4728"},    {"q2_K", "c8388c64ef1d7b61"},
      {"q3_K", "1f3a4df2a3d7fc4a"},    {"q4_K", "afe439ea9456e41d"},
      {"q5_K", "b21f2bc74c216de6"},    {"q6_K", "99656b0eaa932e5b"},
      {"iq2_xxs", "d4c1cc59d8fd875a"}, {"iq2_xs", "75f5a722dc96c79f"},
      {"iq3_xxs", "7fd0ae3154672102"}, {"iq1_s", "5418fd142a8a5b6e"},
      {"iq4_nl", "a32efebde6461236"},  {"iq3_s", "8b09df1396b9e988"},
      {"iq2_s", "c1eade3a5ba5ca8c"},   {"iq4_xs", "60a48866e1cbb28e"},
      {"iq1_m", "89fb4e9c57814dde"},   {"tq1_0", "4d68b137e6839b91"},
      {"tq2_0", "4d1b2e79da49574c"},   {"mxfp4", "d46ed24d9cf73626"},
      {"nvfp4", "1a1a993f29467221"},   {"q1_0", "6396430047086b82"},
      {"q2_0", "ba7a1278d9e0ecdd"},
  };
  std::vector<float> weights = BlockInput(0, 5);
  weights.resize(2 * 256);
  weights[77] = 65520.0f;
  const std::vector<float> importance = WildImportance();
  const TargetGuard guard;
  for (const std::string& target : CodecTargets()) {
    REQUIRE(UseCodecTarget(target));
    for (const auto& line : wanted) {
      CAPTURE(target);
      CAPTURE(line.first);
      const auto bytes = Encoded(*TypeFromName(line.first), weights, 256, importance);
      CHECK(HexOf(Xxh64::Of(bytes)) == line.second);
    }
  }
}

TEST_CASE("an unknown target is refused") { CHECK_FALSE(UseCodecTarget("avx9")); }

}  // namespace quern
