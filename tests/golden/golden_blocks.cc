// golden-blocks SEED [--target NAME]: prints the table of goldens/blocks.csv for any seed, from the
// encoders that `quantize` uses, on the fastest target or the one named.
#include <fmt/format.h>

#include <charconv>
#include <cstring>
#include <optional>
#include <string_view>

#include "kernels/codec_targets.h"
#include "tests/golden/block_table.h"

namespace {

constexpr int kUsage = 2;

std::optional<uint64_t> ParseSeed(std::string_view text) {
  uint64_t seed;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seed);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return seed;
}

}  // namespace

int main(int argc, char** argv) {
  const bool with_target = argc == 4 && std::strcmp(argv[2], "--target") == 0;
  const std::optional<uint64_t> seed = argc >= 2 ? ParseSeed(argv[1]) : std::nullopt;
  if ((argc != 2 && !with_target) || !seed) {
    fmt::print(stderr, "usage: golden-blocks SEED [--target {}]\n",
               fmt::join(quern::CodecTargets(), "|"));
    return kUsage;
  }
  if (with_target && !quern::UseCodecTarget(argv[3])) {
    fmt::print(stderr, "golden-blocks: this machine has the targets {}, not '{}'\n",
               fmt::join(quern::CodecTargets(), ", "), argv[3]);
    return kUsage;
  }
  fmt::print("{}\n", quern::testing::BlockTableHeader());
  for (const quern::Type type : quern::testing::BlockTypes()) {
    for (const std::string& line : quern::testing::BlockLines(type, *seed))
      fmt::print("{}\n", line);
  }
  return 0;
}
