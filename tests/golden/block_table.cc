#include "tests/golden/block_table.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <cstddef>
#include <span>

#include "base/hash.h"
#include "kernels/codec.h"
#include "kernels/half.h"

namespace quern::testing {
namespace {

constexpr std::array<std::string_view, 9> kInputs = {
    "gauss", "gauss_bf16", "cubed", "zeros", "constant", "outlier", "tiny", "positive", "big"};
constexpr std::array<std::string_view, 3> kMatrices = {"none", "squares", "gaps"};

class SplitMix64 {
 public:
  explicit SplitMix64(uint64_t state) : state_(state) {}

  // The sum of twelve uniform numbers, minus six.
  float NearNormal() {
    float sum = 0;
    for (int i = 0; i < 12; ++i) sum += static_cast<float>(Next() >> 40) * 0x1p-24f;
    return sum - 6;
  }

  uint64_t Next() {
    state_ += 0x9E3779B97F4A7C15u;
    uint64_t z = state_;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
  }

 private:
  uint64_t state_;
};

float Weight(std::string_view kind, float g, size_t index) {
  if (kind == "gauss_bf16") return Bf16ToFloat(FloatToBf16(g * 0.02f));
  if (kind == "cubed") return g * g * g * 0.01f;
  if (kind == "zeros") return 0.0f;
  if (kind == "constant") return 0.5f;
  if (kind == "outlier") return index % 97 == 0 ? g * 0.02f * 100.0f : g * 0.02f;
  if (kind == "tiny") return g * 1e-30f;
  if (kind == "positive") return std::fabs(g) * 0.02f;
  if (kind == "big") return g * 1000.0f;
  return g * 0.02f;
}

}  // namespace

std::string_view BlockTableHeader() { return "type,input,imatrix,bytes,xxh64,xxh64_decoded"; }

std::vector<Type> BlockTypes() {
  std::vector<Type> types;
  for (const TypeInfo& info : kTypes) {
    if (info.type != Type::kF32 && CanEncode(info.type)) types.push_back(info.type);
  }
  return types;
}

std::vector<std::string_view> BlockInputNames() { return {kInputs.begin(), kInputs.end()}; }

std::vector<float> BlockInput(size_t kind, uint64_t seed) {
  SplitMix64 random(seed * 1000 + kind);
  std::vector<float> weights(kBlockRows * kBlockCols);
  for (size_t i = 0; i < weights.size(); ++i) {
    weights[i] = Weight(kInputs.at(kind), random.NearNormal(), i);
  }
  return weights;
}

std::vector<float> TiedInput(uint64_t seed) {
  SplitMix64 random(seed);
  std::vector<float> weights(kBlockRows * kBlockCols);
  for (float& w : weights) {
    const uint64_t bits = random.Next();
    // The bits of a float's number are in the order of the floats.
    const float magnitude = 0.01f * static_cast<float>(1 + bits % 5);
    const auto step = static_cast<uint32_t>(bits >> 8) % 3;
    w = std::bit_cast<float>(std::bit_cast<uint32_t>(magnitude) + step - 1);
    if (bits >> 63) w = -w;
  }
  return weights;
}

std::vector<float> BlockImportance(size_t matrix, uint64_t seed) {
  if (kMatrices.at(matrix) == "none") return {};
  SplitMix64 random(seed * 1000 + 500 + matrix);
  std::vector<float> importance(kBlockCols);
  for (size_t i = 0; i < importance.size(); ++i) {
    const float g = random.NearNormal();
    importance[i] = kMatrices[matrix] == "gaps" && i % 7 == 0 ? 0.0f : g * g + 0.01f;
  }
  return importance;
}

std::vector<std::string> BlockLines(Type type, uint64_t seed) {
  std::vector<std::string> lines;
  std::vector<std::byte> bytes(static_cast<size_t>(kBlockRows * RowBytes(type, kBlockCols)));
  std::vector<float> decoded(kBlockRows * kBlockCols);
  for (size_t kind = 0; kind < kInputs.size(); ++kind) {
    const std::vector<float> weights = BlockInput(kind, seed);
    for (size_t matrix = 0; matrix < kMatrices.size(); ++matrix) {
      const std::vector<float> importance = BlockImportance(matrix, seed);
      if (importance.empty() && NeedsImportance(type)) continue;
      EncodeRows(type, weights.data(), kBlockRows, kBlockCols, importance, bytes.data());
      Decode(type, bytes.data(), kBlockRows * kBlockCols, decoded.data());
      lines.push_back(fmt::format("{},{},{},{},{},{}", NameOf(type), kInputs[kind],
                                  kMatrices[matrix], bytes.size(), HexOf(Xxh64::Of(bytes)),
                                  HexOf(Xxh64::Of(std::as_bytes(std::span(decoded))))));
    }
  }
  return lines;
}

}  // namespace quern::testing
