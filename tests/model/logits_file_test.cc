// Files of logits: written and read back, and what a hostile one may say.
#include "model/eval/logits_file.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <random>

#include "base/error.h"
#include "kernels/ops/log_sum_exp.h"
#include "tests/support/paths.h"

namespace quern {
namespace {

constexpr int64_t kVocab = 33;  // odd, so that a row is padded
constexpr ChunkPlan kPlan{.context = 8, .step = 8, .first_scored = 4, .count = 2};

struct Written {
  testing::TempDir dir;
  std::filesystem::path path = dir / "m.logits";
  std::vector<TokenId> tokens;
  std::vector<float> logits;

  Written() {
    std::mt19937 random(7);
    std::normal_distribution<float> normal(0, 6);
    for (TokenId i = 0; i < 20; ++i) tokens.push_back(i);
    for (int64_t i = 0; i < 6 * kVocab; ++i) logits.push_back(normal(random));
    LogitsFileWriter writer(path, Overwrite::kRefuse, tokens, kPlan, kVocab);
    writer.Add(logits.data(), 4);
    writer.Add(logits.data() + 4 * kVocab, 2);
    writer.Commit();
  }

  // The file with four bytes at `offset` replaced.
  std::filesystem::path Changed(size_t offset, uint32_t value) const {
    std::string bytes = testing::ReadText(path);
    std::memcpy(bytes.data() + offset, &value, sizeof value);
    testing::WriteText(dir / "changed", bytes);
    return dir / "changed";
  }
};

void CheckRefused(const std::filesystem::path& path) {
  try {
    LogitsFile file(path);
    std::vector<float> row(static_cast<size_t>(file.vocab()));
    file.ReadLogProbs(0, 1, row.data());
    FAIL("accepted");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::kBadInput);
  }
}

TEST_CASE("a file of logits gives back its tokens, and log probabilities within a code") {
  const Written written;
  CHECK(LogitsFile::Is(written.path));
  CHECK_FALSE(LogitsFile::Is(written.dir / "none"));
  const LogitsFile file(written.path);
  CHECK(file.vocab() == kVocab);
  CHECK(file.plan().count == 2);
  CHECK(file.plan().scored() == 3);
  CHECK(std::vector(file.tokens().begin(), file.tokens().end()) ==
        std::vector(written.tokens.begin(), written.tokens.begin() + 16));
  std::vector<float> got(6 * kVocab);
  file.ReadLogProbs(0, 1, got.data());
  file.ReadLogProbs(1, 5, got.data() + kVocab);
  for (int64_t row = 0; row < 6; ++row) {
    const float* logits = written.logits.data() + row * kVocab;
    const double norm = LogSumExp(logits, kVocab);
    const float best = *std::max_element(logits, logits + kVocab);
    for (int64_t i = 0; i < kVocab; ++i) {
      const double wanted = std::max(logits[i], best - 16) - norm;
      CHECK(std::abs(got[static_cast<size_t>(row * kVocab + i)] - wanted) < 16.0 / 65535);
    }
  }
}

TEST_CASE("equal logits have no scale, and still a probability") {
  const testing::TempDir dir;
  const std::vector<float> logits(6 * kVocab, 3.0F);
  const std::vector<TokenId> tokens(16, 1);
  LogitsFileWriter writer(dir / "m", Overwrite::kRefuse, tokens, kPlan, kVocab);
  writer.Add(logits.data(), 6);
  writer.Commit();
  std::vector<float> row(kVocab);
  LogitsFile(dir / "m").ReadLogProbs(5, 1, row.data());
  for (const float value : row) CHECK(value == doctest::Approx(-std::log(kVocab)));
}

TEST_CASE("hostile files of logits are refused") {
  const Written written;
  const std::string whole = testing::ReadText(written.path);
  for (const size_t size : {size_t{0}, size_t{7}, size_t{19}, size_t{50}, whole.size() - 1}) {
    testing::WriteText(written.dir / "short", whole.substr(0, size));
    CheckRefused(written.dir / "short");
  }
  for (const uint32_t lie : {0U, 3U, 1000U, 1U << 23, 0x7FFFFFFFU, 0x80000000U, 0xFFFFFFFFU}) {
    CheckRefused(written.Changed(8, lie));                  // tokens per chunk
    CheckRefused(written.Changed(16, lie == 3 ? 4 : lie));  // chunks
    if (lie != 3) CheckRefused(written.Changed(12, lie));   // the vocabulary
  }
  CheckRefused(written.Changed(20 + 16 * 4, 0x7FC00000));  // a scale that is NaN
  CheckRefused(written.Changed(0, 0x46554747));            // GGUF's magic
}

TEST_CASE("chunks that overlap have no place in a file of logits") {
  const testing::TempDir dir;
  const std::vector<TokenId> tokens(16, 1);
  const ChunkPlan strided{.context = 8, .step = 2, .first_scored = 5, .count = 2};
  CHECK_THROWS_AS(LogitsFileWriter(dir / "m", Overwrite::kRefuse, tokens, strided, kVocab), Error);
  CHECK(std::filesystem::is_empty(dir.path()));
}

}  // namespace
}  // namespace quern
