#include "adapters/merged_source.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "base/error.h"
#include "tests/support/memory_source.h"

namespace quern {
namespace {

using testing::MemorySource;
using testing::MemoryTensor;

constexpr const char* kUp = "model.layers.0.mlp.up_proj";

// A base of one linear layer, [3 outputs, 2 inputs], with a bias.
std::shared_ptr<MemorySource> Base() {
  return std::make_shared<MemorySource>(
      "base", std::vector<MemoryTensor>{{std::string(kUp) + ".weight", {2, 3}, {1, 2, 3, 4, 5, 6}},
                                        {std::string(kUp) + ".bias", {3}, {10, 20, 30}},
                                        {"model.norm.weight", {2}, {1, 1}}});
}

MemoryTensor A(std::vector<float> values = {1, -1}) {
  return {std::string("base_model.model.") + kUp + ".lora_A.weight", {2, 1}, std::move(values)};
}
MemoryTensor B(std::vector<float> values = {1, 0, 2}) {
  return {std::string("base_model.model.") + kUp + ".lora_B.weight", {1, 3}, std::move(values)};
}

std::shared_ptr<LoraAdapter> Adapter(std::vector<MemoryTensor> tensors,
                                     const std::string& more = "") {
  return std::make_shared<LoraAdapter>(
      ParseLoraConfig(R"({"peft_type": "LORA", "r": 1, "lora_alpha": 3)" + more + "}", "config"),
      std::make_shared<MemorySource>("adapter", std::move(tensors)));
}

std::vector<float> FloatsOf(const TensorSource& source, size_t index) {
  const auto bytes = source.ReadAll(index);
  std::vector<float> floats(bytes.size() / sizeof(float));
  std::memcpy(floats.data(), bytes.data(), bytes.size());
  return floats;
}

std::vector<float> MergedWeight(std::vector<WeightedAdapter> adapters) {
  const auto base = Base();
  return FloatsOf(MergedSource(base, HfBaseNames(*base), adapters), 0);
}

// The kind and text of the error of a merge of one adapter.
std::pair<ErrorKind, std::string> Refusal(std::vector<MemoryTensor> tensors,
                                          const std::string& more = "") {
  try {
    const auto base = Base();
    const std::vector<WeightedAdapter> adapters = {{Adapter(std::move(tensors), more), 1}};
    const MergedSource merged(base, HfBaseNames(*base), adapters);
  } catch (const Error& error) {
    return {error.kind(), error.what()};
  }
  return {ErrorKind{}, ""};
}

TEST_CASE("a merge adds scale B A") {
  CHECK(MergedWeight({{Adapter({A(), B()}), 1}}) == std::vector<float>{4, -1, 3, 4, 11, 0});
  CHECK(MergedWeight({{Adapter({A(), B()}), 0.5}}) == std::vector<float>{2.5, 0.5, 3, 4, 8, 3});
}

TEST_CASE("several adapters are summed, each with its weight") {
  CHECK(MergedWeight({{Adapter({A(), B()}), 1}, {Adapter({A({0, 1}), B({1, 1, 1})}), -1}}) ==
        std::vector<float>{4, -4, 3, 1, 11, -3});
}

TEST_CASE("the report has the norm of every delta") {
  const auto base = Base();
  const std::vector<WeightedAdapter> adapters = {{Adapter({A(), B()}), 1},
                                                 {Adapter({A(), B()}), 2}};
  const MergedSource merged(base, HfBaseNames(*base), adapters);
  REQUIRE(merged.report().deltas.size() == 2);
  const MergeDelta& delta = merged.report().deltas[0];
  CHECK(delta.tensor == "model.layers.0.mlp.up_proj.weight");
  CHECK(delta.rank == 1);
  CHECK(delta.scale == 3);
  CHECK(delta.norm == doctest::Approx(3 * std::sqrt(10.0)));
  CHECK(merged.report().total_norm == doctest::Approx(9 * std::sqrt(10.0)));
  CHECK(merged.Changes(0));
  CHECK_FALSE(merged.Changes(2));
}

TEST_CASE("lora_bias is added to the base's bias") {
  const MemoryTensor bias{std::string("base_model.model.") + kUp + ".lora_B.bias", {3}, {1, 2, 3}};
  const auto base = Base();
  const std::vector<WeightedAdapter> adapters = {
      {Adapter({A(), B(), bias}, R"(, "lora_bias": true)"), 1}};
  const MergedSource merged(base, HfBaseNames(*base), adapters);
  CHECK(FloatsOf(merged, 1) == std::vector<float>{13, 26, 39});
  CHECK(Refusal({A(), B(), bias}).first == ErrorKind::kBadInput);
  CHECK(Refusal({A(), B()}, R"(, "lora_bias": true)").first == ErrorKind::kBadInput);
}

TEST_CASE("fan_in_fan_out takes the base's weight as [in, out]") {
  const MemoryTensor a{A().name, {3, 1}, {1, 0, 2}}, b{B().name, {1, 2}, {1, -1}};
  CHECK(MergedWeight({{Adapter({a, b}, R"(, "fan_in_fan_out": true)"), 1}}) ==
        std::vector<float>{4, -1, 3, 4, 11, 0});
}

TEST_CASE("rows of a GGUF's Q stand in another order") {
  // Heads of four rows: HF row j + 2 k of a head is row 2 j + k.
  BaseTensor place;
  place.head_rows = 4;
  std::vector<int64_t> rows;
  for (int64_t row = 0; row < 8; ++row) rows.push_back(place.HfRow(row));
  CHECK(rows == std::vector<int64_t>{0, 2, 1, 3, 4, 6, 5, 7});
}

TEST_CASE("a trainer's checkpoint has the adapter's name in its tensors") {
  MemoryTensor a = A(), b = B();
  a.name.insert(a.name.find(".weight"), ".default");
  b.name.insert(b.name.find(".weight"), ".my_adapter");
  CHECK(MergedWeight({{Adapter({a, b}), 1}}) == std::vector<float>{4, -1, 3, 4, 11, 0});
}

TEST_CASE("what does not fit is refused, and the tensor named") {
  const auto named = [](const std::pair<ErrorKind, std::string>& refusal, ErrorKind kind,
                        const std::string& text) {
    CAPTURE(refusal.second);
    CHECK(refusal.first == kind);
    CHECK(refusal.second.find(text) != std::string::npos);
  };
  named(Refusal({A()}), ErrorKind::kBadInput, "lora_A.weight' has no lora_B");
  named(Refusal({B()}), ErrorKind::kBadInput, "lora_B.weight' has no lora_A");
  named(Refusal({A({0, 0}), B()}), ErrorKind::kBadInput, "zero");
  named(Refusal({A({1, std::nanf("")}), B()}), ErrorKind::kNonFinite, "lora_A.weight' has NaN");
  named(Refusal({A(), B({1, std::numeric_limits<float>::infinity(), 2})}), ErrorKind::kNonFinite,
        "lora_B.weight' has NaN or Inf at index 1");
  named(Refusal({A(), B()}, R"(, "target_modules": ["down_proj"])"), ErrorKind::kBadInput,
        "does not target");
  named(Refusal({A(), B()}, R"(, "alpha_pattern": {"up_proj": 0})"), ErrorKind::kBadInput, "scale");
  MemoryTensor other = A();
  other.name.replace(other.name.find("layers.0"), 8, "layers.9");
  MemoryTensor other_b = B();
  other_b.name.replace(other_b.name.find("layers.0"), 8, "layers.9");
  named(Refusal({other, other_b}), ErrorKind::kBadInput, "layers.9.mlp.up_proj.weight");
  named(Refusal({{A().name, {3, 1}, {1, 2, 3}}, B()}), ErrorKind::kBadInput, "has 3 columns");
  named(Refusal({A(), {B().name, {1, 2}, {1, 2}}}), ErrorKind::kBadInput, "has 2 rows");
  named(Refusal({A(), {B().name, {2, 3}, {1, 2, 3, 4, 5, 6}}}), ErrorKind::kBadInput, "rank 2");
  named(Refusal({{"model.lora_A.weight", {2, 1}, {1, 2}}}), ErrorKind::kBadInput,
        "should begin with");
  named(Refusal({{"base_model.model.model.odd", {2, 1}, {1, 2}}}), ErrorKind::kBadInput,
        "no part of a LoRA adapter");
  named(Refusal({A(), B(), {"base_model.model.lm_head.original_module.weight", {2}, {1, 2}}}),
        ErrorKind::kBadInput, "has no use");
}

TEST_CASE("adapters that cancel each other are refused") {
  const auto base = Base();
  const std::vector<WeightedAdapter> adapters = {{Adapter({A(), B()}), 1},
                                                 {Adapter({A(), B()}), -1}};
  CHECK_THROWS_AS(MergedSource(base, HfBaseNames(*base), adapters), Error);
}

TEST_CASE("a targeted module without tensors is an error") {
  const auto base = std::make_shared<MemorySource>(
      "base",
      std::vector<MemoryTensor>{{std::string(kUp) + ".weight", {2, 3}, {1, 2, 3, 4, 5, 6}},
                                {"model.layers.1.mlp.up_proj.weight", {2, 3}, {1, 2, 3, 4, 5, 6}}});
  const std::vector<WeightedAdapter> adapters = {
      {Adapter({A(), B()}, R"(, "target_modules": ["up_proj"])"), 1}};
  CHECK_THROWS_WITH_AS(
      MergedSource(base, HfBaseNames(*base), adapters),
      "adapter: has no tensors for 'model.layers.1.mlp.up_proj', which config targets", Error);
}

TEST_CASE("pieces of any size give the same bytes") {
  const auto base = Base();
  const std::vector<WeightedAdapter> adapters = {{Adapter({A(), B()}), 1}};
  const MergedSource merged(base, HfBaseNames(*base), adapters);
  const auto whole = merged.ReadAll(0);
  std::vector<std::byte> pieces(whole.size());
  for (int64_t row = 0; row < 3; ++row) {
    merged.ReadRows(0, row, 1, std::span(pieces).subspan(static_cast<size_t>(row) * 8, 8));
  }
  CHECK(pieces == whole);
}

}  // namespace
}  // namespace quern
