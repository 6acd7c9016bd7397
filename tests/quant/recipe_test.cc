#include "quant/recipe.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.h"
#include "tests/support/paths.h"

namespace quern {
namespace {

using nlohmann::json;

RecipeModel ModelOf(const json& model) {
  return {.arch = model["arch"],
          .layers = model["n_layer"],
          .experts = model["n_expert"],
          .heads = model["n_head"],
          .kv_heads = model["n_head_kv"]};
}

// As the goldens were made: f16, with 1-D tensors and the experts' router in f32.
std::vector<TensorInfo> TensorsOf(const json& model) {
  std::vector<TensorInfo> tensors;
  for (const auto& entry : model["tensors"]) {
    TensorInfo tensor{.name = entry[0], .type = Type::kF16, .shape = {}};
    for (size_t i = 1; i < entry.size(); ++i) tensor.shape.push_back(entry[i]);
    const bool router = tensor.name.find("ffn_gate_inp") != std::string::npos;
    if (tensor.shape.size() < 2 || router) tensor.type = Type::kF32;
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

std::string Picked(const json& model, FileType file_type, const RecipeOptions& options) {
  const auto tensors = TensorsOf(model);
  std::string types;
  try {
    const auto picks = PickTypes(ModelOf(model), tensors, file_type, options);
    for (size_t t = 0; t < tensors.size(); ++t) {
      if (tensors[t].shape.size() < 2) continue;
      types += (types.empty() ? "" : " ") + std::string(NameOf(picks[t].type));
    }
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::kUnsupported);
    return "refused";
  }
  return types;
}

TEST_CASE("types are llama-quantize's, for every file type and model of the goldens") {
  QUERN_NEEDS_SHARED(path, "goldens/recipes.json");
  const json models = json::parse(testing::ReadText(path));
  size_t cases = 0;
  for (const auto& entry : models.items()) {
    const json& model = entry.value();
    CAPTURE(entry.key());
    for (const auto& types : model["types"].items()) {
      const std::string key = types.key();
      CAPTURE(key);
      const auto slash = key.find('/');
      const auto file_type = FileTypeFromName(key.substr(0, slash));
      REQUIRE(file_type);
      RecipeOptions options;
      options.has_importance = key.substr(slash) == "/imatrix";
      std::string wanted = types.value();
      if (wanted.starts_with("refused")) wanted = "refused";
      CHECK(Picked(model, *file_type, options) == wanted);
      ++cases;
    }
  }
  CHECK(cases == 384);
}

std::vector<TensorInfo> Small() {
  std::vector<TensorInfo> tensors{{"token_embd.weight", Type::kF16, {512, 100}},
                                  {"output_norm.weight", Type::kF32, {512}}};
  for (int layer = 0; layer < 12; ++layer) {
    const std::string prefix = "blk." + std::to_string(layer) + ".";
    tensors.push_back({prefix + "attn_q.weight", Type::kF16, {512, 512}});
    tensors.push_back({prefix + "attn_v.weight", Type::kF16, {512, 128}});
    tensors.push_back({prefix + "ffn_down.weight", Type::kF16, {1024, 512}});
  }
  return tensors;
}
const RecipeModel kSmall{.arch = "llama", .layers = 12, .heads = 8, .kv_heads = 4};

Type TypeOf(const std::vector<RecipePick>& picks, const std::vector<TensorInfo>& tensors,
            std::string_view name) {
  for (size_t t = 0; t < tensors.size(); ++t) {
    if (tensors[t].name == name) return picks[t].type;
  }
  FAIL("no such tensor");
  return Type::kF32;
}

TEST_CASE("counters run by layer and then name, or in the list's order") {
  auto tensors = Small();
  const auto sorted = PickTypes(kSmall, tensors, FileType::kQ4_K_M);
  // Layers 0 (first eighth), 3, 6, 9 and the last: every third of those between, and the ends.
  std::string more;
  for (int layer = 0; layer < 12; ++layer) {
    const auto name = "blk." + std::to_string(layer) + ".ffn_down.weight";
    more += TypeOf(sorted, tensors, name) == Type::kQ6_K ? '1' : '0';
  }
  CHECK(more == "100100100111");

  std::reverse(tensors.begin(), tensors.end());
  const auto again = PickTypes(kSmall, tensors, FileType::kQ4_K_M);
  CHECK(TypeOf(again, tensors, "blk.3.ffn_down.weight") == Type::kQ6_K);
  const auto kept = PickTypes(kSmall, tensors, FileType::kQ4_K_M, {.keep_order = true});
  CHECK(TypeOf(kept, tensors, "blk.3.ffn_down.weight") == Type::kQ4_K);
  CHECK(TypeOf(kept, tensors, "blk.8.ffn_down.weight") == Type::kQ6_K);
}

TEST_CASE("options come before the mix in llama-quantize's order") {
  auto tensors = Small();
  tensors.push_back({"output.weight", Type::kF16, {512, 100}});
  RecipeOptions options;
  options.output_type = Type::kQ8_0;
  options.embedding_type = Type::kQ2_K;
  options.rules.push_back({NamePattern("ATTN_V"), Type::kQ5_0});
  options.rules.push_back({NamePattern("blk\\.[0-3]\\."), Type::kQ8_0});
  options.rules.push_back({NamePattern("token_embd|output"), Type::kQ3_K});
  auto picks = PickTypes(kSmall, tensors, FileType::kQ4_K_M, options);
  CHECK(TypeOf(picks, tensors, "output.weight") == Type::kQ8_0);
  CHECK(TypeOf(picks, tensors, "token_embd.weight") == Type::kQ2_K);
  CHECK(TypeOf(picks, tensors, "blk.0.attn_v.weight") == Type::kQ5_0);
  CHECK(TypeOf(picks, tensors, "blk.0.attn_q.weight") == Type::kQ8_0);
  // Four hits of the pattern did not count: layer 4's is the first ffn_down of the mix.
  CHECK(TypeOf(picks, tensors, "blk.4.ffn_down.weight") == Type::kQ6_K);
  CHECK(TypeOf(picks, tensors, "output_norm.weight") == Type::kF32);

  // Where the embedding is the output too, its type goes through the mix: a pattern beats it.
  tensors.pop_back();
  options.embedding_type.reset();
  picks = PickTypes(kSmall, tensors, FileType::kQ4_K_M, options);
  CHECK(TypeOf(picks, tensors, "token_embd.weight") == Type::kQ3_K);
  options.rules.clear();
  picks = PickTypes(kSmall, tensors, FileType::kQ4_K_M, options);
  CHECK(TypeOf(picks, tensors, "token_embd.weight") == Type::kQ8_0);
  options.pure = true;
  picks = PickTypes(kSmall, tensors, FileType::kQ4_K_M, options);
  CHECK(TypeOf(picks, tensors, "token_embd.weight") == Type::kQ4_K);

  const auto kept = PickTypes(kSmall, {{{"output.weight", Type::kBF16, {512, 100}}}},
                              FileType::kQ4_K_M, {.keep_output = true});
  CHECK(kept[0].type == Type::kBF16);
}

TEST_CASE("a row that is no whole number of blocks falls back, or is refused") {
  const auto pick = [](int64_t cols, FileType file_type) {
    const std::vector<TensorInfo> tensors{{"blk.0.attn_q.weight", Type::kF32, {cols, 4}}};
    return PickTypes(kSmall, tensors, file_type, {.pure = true})[0];
  };
  CHECK(pick(512, FileType::kQ4_K_M).type == Type::kQ4_K);
  CHECK_FALSE(pick(512, FileType::kQ4_K_M).fell_back_from);
  CHECK(pick(544, FileType::kQ4_K_M).type == Type::kQ5_0);
  CHECK(pick(544, FileType::kQ4_K_M).fell_back_from == Type::kQ4_K);
  CHECK(pick(544, FileType::kIQ2_XS).type == Type::kIQ4_NL);
  CHECK(pick(500, FileType::kIQ2_XS).type == Type::kF16);
  CHECK_THROWS_WITH_AS(pick(500, FileType::kQ8_0),
                       doctest::Contains("rows have 500 weights, blocks of 32"), Error);
  CHECK(pick(500, FileType::kBF16).type == Type::kBF16);
}

TEST_CASE("a column, a bias, a norm and a router keep their types") {
  const std::vector<TensorInfo> tensors{{"blk.0.attn_q.weight", Type::kF32, {512, 1}},
                                        {"blk.0.attn_q.bias", Type::kF32, {512, 512}},
                                        {"blk.0.attn_q_norm.weight", Type::kF32, {512, 512}},
                                        {"blk.0.ffn_gate_inp.weight", Type::kF32, {512, 8}},
                                        {"token_types.weight", Type::kF32, {512, 2}}};
  for (const auto& pick : PickTypes(kSmall, tensors, FileType::kQ4_K_M)) {
    CHECK(pick.type == Type::kF32);
  }
}

TEST_CASE("experts need a layer of the model in their names") {
  RecipeModel model = kSmall;
  model.experts = 4;
  for (const std::string name : {"blk.12.ffn_down_exps.weight", "ffn_down.weight"}) {
    const std::vector<TensorInfo> tensors{{name, Type::kF32, {512, 512, 4}}};
    CHECK_THROWS_WITH_AS(PickTypes(model, tensors, FileType::kQ4_K_M),
                         doctest::Contains("of no layer of the model"), Error);
  }
}

TEST_CASE("file types are known by name in any case, by alias and by number") {
  CHECK(FileTypeFromName("q4_k_m") == FileType::kQ4_K_M);
  CHECK(FileTypeFromName("Q4_K") == FileType::kQ4_K_M);
  CHECK(FileTypeFromName("q3_k") == FileType::kQ3_K_M);
  CHECK(FileTypeFromName("15") == FileType::kQ4_K_M);
  CHECK(FileTypeFromName("0") == FileType::kF32);
  for (const char* wrong : {"", "4", "15x", "-1", "q4_k_x", "99999999999"}) {
    CAPTURE(wrong);
    CHECK_FALSE(FileTypeFromName(wrong));
  }
  for (const FileTypeInfo& info : kFileTypes) {
    CHECK(FileTypeFromName(info.name) == info.file_type);
    CHECK(FileTypeFromName(std::to_string(info.id)) == info.file_type);
  }
}

TEST_CASE("patterns are searched anywhere, and cannot stall") {
  CHECK(NamePattern("ffn_(up|down)").FoundIn("blk.3.ffn_down.weight"));
  CHECK_FALSE(NamePattern("^ffn").FoundIn("blk.3.ffn_down.weight"));
  CHECK(NamePattern("\\S$").FoundIn("a"));
  CHECK_THROWS_AS(NamePattern("a(b"), Error);
  CHECK_THROWS_WITH_AS(NamePattern("(a+)+[bc]").FoundIn(std::string(60, 'a')),
                       doctest::Contains("takes too long"), Error);
}

TEST_CASE("a recipe reads a model's keys, arrays too") {
  Metadata keys("m.gguf");
  CHECK_THROWS_WITH_AS(RecipeModel::Of(keys), doctest::Contains("general.architecture"), Error);
  keys.Set("general.architecture", "llama");
  CHECK_THROWS_WITH_AS(RecipeModel::Of(keys), doctest::Contains("llama.block_count"), Error);
  keys.Set("llama.block_count", uint32_t{3});
  const std::vector<int32_t> heads{8, 4, 4};
  keys.Set("llama.attention.head_count", Array::Of(std::span<const int32_t>(heads)));
  const RecipeModel model = RecipeModel::Of(keys);
  CHECK(model.layers == 3);
  CHECK(model.heads == 8);
  CHECK(model.kv_heads == 8);
  for (const int64_t absurd : {int64_t{-1}, INT64_MAX}) {
    keys.Set("llama.block_count", absurd);
    CHECK_THROWS_WITH_AS(RecipeModel::Of(keys), doctest::Contains("says it has"), Error);
  }
}

}  // namespace
}  // namespace quern
