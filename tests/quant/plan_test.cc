#include "quant/plan.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "base/error.h"
#include "gguf/keys.h"
#include "quant/quality.h"
#include "tests/support/memory_source.h"
#include "tests/support/paths.h"

namespace quern {
namespace {

// A llama of six layers, 256 wide; the value of each weight of layer N is N + 1.
std::filesystem::path WriteModel(const testing::TempDir& dir, const SplitPlan& split = {}) {
  std::vector<testing::MemoryTensor> tensors{{"output.weight", {256, 2}, {}},
                                             {"token_embd.weight", {256, 2}, {}}};
  for (int layer = 5; layer >= 0; --layer) {
    const std::string prefix = "blk." + std::to_string(layer) + ".";
    for (const char* name : {"attn_v.weight", "ffn_down.weight"}) {
      tensors.push_back(
          {prefix + name, {256, 2}, std::vector<float>(512, static_cast<float>(layer + 1))});
    }
  }
  for (auto& tensor : tensors) tensor.values.resize(512, 0.5F);
  const testing::MemorySource source("memory", std::move(tensors));
  Metadata keys("keys");
  keys.Set(keys::kFileType, uint32_t{0});
  keys.Set(keys::kArchitecture, "llama");
  keys.Set("llama.block_count", uint32_t{6});
  const std::vector<int32_t> heads{6, 5, 4, 3, 2, 1};
  keys.Set("llama.attention.head_count", Array::Of(std::span<const int32_t>(heads)));
  GgufSink sink(dir / "m.gguf", keys, source.tensors(), Overwrite::kRefuse, split);
  NoProgress quiet;
  Stream(source, sink, quiet);
  sink.Commit();
  return sink.paths()[0];
}

std::vector<std::string> KeysOf(const Metadata& metadata) {
  std::vector<std::string> keys;
  for (const auto& entry : metadata.entries()) keys.push_back(entry.first);
  return keys;
}

TEST_CASE("tensors go out by layer and name, keys where llama-quantize puts them") {
  testing::TempDir dir;
  const auto model = GgufModel::Open(WriteModel(dir));
  QuantizeOptions options;
  options.file_type = FileType::kQ4_K_M;
  options.overrides = {{"general.name", "New"}, {"llama.block_count", uint32_t{6}}};
  const QuantizePlan plan = PlanQuantize(*model, options, nullptr);
  CHECK(plan.tensors[0].name == "output.weight");
  CHECK(plan.tensors[2].name == "blk.0.attn_v.weight");
  CHECK(plan.tensors[13].name == "blk.5.ffn_down.weight");
  CHECK(KeysOf(plan.metadata) ==
        std::vector<std::string>{"general.architecture", "llama.attention.head_count",
                                 "general.quantization_version", "general.file_type",
                                 "general.name", "llama.block_count"});
  CHECK(plan.metadata.Int("general.quantization_version") == 2);
  CHECK(plan.metadata.Int("general.file_type") == 15);
  CHECK(plan.weights() == 14 * 512);
  CHECK(plan.bytes_before() == 14 * 2048);
}

TEST_CASE("COPY keeps every type and the file's own") {
  testing::TempDir dir;
  const auto model = GgufModel::Open(WriteModel(dir));
  const QuantizePlan plan = PlanQuantize(*model, {.copy = true}, nullptr);
  CHECK(plan.bytes_after() == plan.bytes_before());
  CHECK(plan.metadata.Int("general.file_type") == 0);
}

TEST_CASE("pruned layers are left out, the rest counted anew with their own weights") {
  testing::TempDir dir;
  const auto model = GgufModel::Open(WriteModel(dir));
  QuantizeOptions options{.copy = true};
  options.pruned_layers = {4, 1};
  QuantizePlan plan = PlanQuantize(*model, options, nullptr);
  CHECK(plan.metadata.Int("llama.block_count") == 4);
  CHECK(plan.metadata.FindArray("llama.attention.head_count")->ToInts() ==
        std::vector<int64_t>{6, 4, 3, 1});
  const auto source = SourceOf(model, plan);
  CHECK(source->tensors().size() == 10);
  const std::vector<float> layers{1, 3, 4, 6};
  for (size_t layer = 0; layer < 4; ++layer) {
    const auto index = source->Find("blk." + std::to_string(layer) + ".attn_v.weight");
    REQUIRE(index);
    std::vector<float> row(256);
    source->ReadRows(*index, 0, 1, std::as_writable_bytes(std::span(row)));
    CHECK(row[0] == layers[layer]);
  }
  options.pruned_layers = {6};
  CHECK_THROWS_WITH_AS(PlanQuantize(*model, options, nullptr), doctest::Contains("no layer 6"),
                       Error);
}

TEST_CASE("with keep_split the files and the order within them stay") {
  testing::TempDir dir;
  SplitPlan split;
  split.max_tensors = 5;
  const auto model = GgufModel::Open(WriteModel(dir, split));
  QuantizeOptions options{.file_type = FileType::kQ4_K_M, .keep_split = true};
  QuantizePlan plan = PlanQuantize(*model, options, nullptr);
  CHECK(plan.split.file_of == std::vector<size_t>{0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2});
  CHECK(plan.tensors[2].name == "blk.5.attn_v.weight");
  CHECK_FALSE(plan.metadata.Has(keys::kSplitCount));
  // A file that loses all its tensors goes.
  options.pruned_layers = {1, 2, 3};
  plan = PlanQuantize(*model, options, nullptr);
  CHECK(plan.split.file_of == std::vector<size_t>{0, 0, 0, 0, 0, 1, 2, 2});
}

Imatrix MatrixFor(size_t cols) {
  Imatrix matrix{.name = "m.gguf", .datasets = {"data.txt"}, .chunks = 3, .weights = {}};
  for (int layer = 0; layer < 6; ++layer) {
    const std::string prefix = "blk." + std::to_string(layer) + ".";
    for (const char* name : {"attn_v.weight", "ffn_down.weight"}) {
      matrix.weights[prefix + name] = std::vector<float>(cols, static_cast<float>(layer + 1));
    }
  }
  return matrix;
}

TEST_CASE("a matrix gives its weights, its keys and a report") {
  testing::TempDir dir;
  const auto model = GgufModel::Open(WriteModel(dir));
  QuantizeOptions options{.file_type = FileType::kQ4_K_M};
  Imatrix matrix = MatrixFor(256);
  matrix.weights["blk.9.attn_v.weight"] = {1};
  options.pruned_layers = {0};
  const QuantizePlan plan = PlanQuantize(*model, options, &matrix);
  // blk.0 is what was blk.1, whose weights are 2.
  CHECK(plan.tensors[2].name == "blk.0.attn_v.weight");
  CHECK(plan.tensors[2].importance == std::vector<float>(256, 2));
  CHECK(plan.metadata.Text("quantize.imatrix.file") == "m.gguf");
  CHECK(plan.metadata.Text("quantize.imatrix.dataset") == "data.txt");
  CHECK(plan.metadata.Int("quantize.imatrix.entries_count") == 13);
  CHECK(plan.metadata.Int("quantize.imatrix.chunks_count") == 3);
  REQUIRE(plan.notes.size() == 3);
  CHECK(plan.notes[0] == "m.gguf: 10 of 12 tensors that are quantized have importance weights");
  CHECK(plan.notes[1] == "without importance weights: output.weight, token_embd.weight");
  CHECK(plan.notes[2] == "m.gguf: the model has no blk.9.attn_v.weight");

  const Imatrix small = MatrixFor(128);
  CHECK_THROWS_WITH_AS(PlanQuantize(*model, options, &small),
                       doctest::Contains("has 128 values for 'blk.0.attn_v.weight', 256"), Error);
}

TEST_CASE("what needs a matrix and has none is refused by name, and so is requantizing") {
  testing::TempDir dir;
  const auto model = GgufModel::Open(WriteModel(dir));
  QuantizeOptions options{.file_type = FileType::kIQ2_XS};
  QuantizePlan plan = PlanQuantize(*model, options, nullptr);
  CHECK_THROWS_WITH_AS(CheckPlan(plan, options),
                       doctest::Contains("blk.0.ffn_down.weight (iq2_xs)"), Error);
  Imatrix matrix = MatrixFor(256);
  plan = PlanQuantize(*model, options, &matrix);
  CHECK_NOTHROW(CheckPlan(plan, options));
  matrix.weights.erase("blk.3.ffn_down.weight");
  plan = PlanQuantize(*model, options, &matrix);
  CHECK_THROWS_WITH_AS(CheckPlan(plan, options), doctest::Contains("1 tensors"), Error);

  options = {.file_type = FileType::kQ8_0};
  plan = PlanQuantize(*model, options, nullptr);
  const auto source = SourceOf(model, plan);
  GgufSink sink(dir / "q8.gguf", plan.metadata, source->tensors(), Overwrite::kRefuse);
  NoProgress quiet;
  Stream(*source, sink, quiet);
  sink.Commit();
  const auto quantized = GgufModel::Open(dir / "q8.gguf");
  options = {.file_type = FileType::kQ4_K_M};
  plan = PlanQuantize(*quantized, options, nullptr);
  CHECK_THROWS_WITH_AS(CheckPlan(plan, options), doctest::Contains("quantized already"), Error);
  options.allow_requantize = true;
  CHECK_NOTHROW(CheckPlan(plan, options));
}

TEST_CASE("the quality meter measures what is lost") {
  testing::TempDir dir;
  const auto model = GgufModel::Open(WriteModel(dir));
  QuantizePlan plan = PlanQuantize(*model, {.file_type = FileType::kQ8_0}, nullptr);
  std::vector<Type> types;
  for (const auto& tensor : plan.tensors) types.push_back(tensor.to);
  QualityMeter meter(types);
  const auto source = SourceOf(model, plan, &meter);
  const size_t at = 3;
  source->ReadAll(at);
  CHECK(meter.errors()[0].weights == 0);
  const EncodingError& error = meter.errors()[at];
  CHECK(error.weights == 512);
  CHECK(error.squared_weight == doctest::Approx(512.0));
  // A constant 1: d = f16(1 / 127), and 127 d is off by what the rounding of d leaves.
  const double lost = std::abs(127 * 0.007873535 - 1);
  CHECK(error.rmse() == doctest::Approx(lost).epsilon(1e-3));
  CHECK(error.relative() == doctest::Approx(lost).epsilon(1e-3));
  CHECK(static_cast<double>(error.largest_error) == doctest::Approx(lost).epsilon(1e-3));
  CHECK(meter.Total().rmse() == error.rmse());
}

}  // namespace
}  // namespace quern
