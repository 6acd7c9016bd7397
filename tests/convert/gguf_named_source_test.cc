#include "convert/gguf_named_source.h"

#include <doctest/doctest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/hash.h"
#include "convert/checkpoint.h"
#include "model/arch/renamed_source.h"
#include "tests/convert/bytes.h"
#include "tests/support/paths.h"

namespace quern {
namespace {

using testing::MemorySource;
using testing::ReadText;
using testing::RefusalOf;
using testing::Shared;
using testing::TestData;

GgufNaming NamingOf(const std::filesystem::path& folder) {
  const auto config = nlohmann::json::parse(ReadText(folder / "config.json"));
  GgufNaming naming;
  naming.arch = FindArchByHfClass(config["architectures"][0].get<std::string>());
  naming.dims = {.layers = config["num_hidden_layers"],
                 .embedding = config["hidden_size"],
                 .feed_forward = config["intermediate_size"],
                 .heads = config["num_attention_heads"],
                 .kv_heads = config["num_key_value_heads"],
                 .vocab = config["vocab_size"]};
  naming.dims.head_dim = config.value("head_dim", naming.dims.embedding / naming.dims.heads);
  naming.tied = config.value("tie_word_embeddings", false);
  return naming;
}

std::vector<std::byte> AsF32(const std::vector<std::byte>& bf16) {
  std::vector<std::byte> f32;
  for (size_t i = 0; i < bf16.size(); i += 2) {
    f32.insert(f32.end(), {std::byte{0}, std::byte{0}, bf16[i], bf16[i + 1]});
  }
  return f32;
}

// "tensor,shape,xxh64" of the reference's f32 file, in its order, without the rope factors, which
// are no checkpoint's.
std::vector<std::string> Golden(const std::string& model) {
  std::istringstream lines(ReadText(TestData("goldens/convert.csv")));
  const std::string prefix = model + ",f32,";
  std::vector<std::string> golden;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(prefix)) continue;
    line.erase(0, prefix.size());
    line.erase(line.find(",F32"), 4);
    if (!line.starts_with("rope_freqs")) golden.push_back(line);
  }
  return golden;
}

TEST_CASE("names, order, shapes and rows are as the reference writes them") {
  for (const std::string model :
       {"tiny-llama", "families/llama3-scaled", "families/llama-linear-bias",
        "families/llama-yarn-sharded", "families/mistral-headdim", "families/mistral-window",
        "families/qwen2", "families/qwen3"}) {
    CAPTURE(model);
    auto folder = TestData("models/" + model);
    if (!std::filesystem::exists(folder)) folder = Shared("models/" + model);
    if (folder.empty()) {
      testing::SaySkipped("../shared/models/" + model + " is absent");
      continue;
    }
    const auto source = MakeGgufNamed(Checkpoint::Open(folder), NamingOf(folder));
    std::vector<std::string> lines;
    for (size_t i = 0; i < source->tensors().size(); ++i) {
      const TensorInfo& tensor = source->tensors()[i];
      std::string shape = std::to_string(tensor.shape[0]);
      if (tensor.shape.size() > 1) shape += "x" + std::to_string(tensor.shape[1]);
      REQUIRE(tensor.type == Type::kBF16);
      lines.push_back(tensor.name + "," + shape + "," +
                      HexOf(Xxh64::Of(AsF32(source->ReadAll(i)))));
    }
    CHECK(lines == Golden(model));
  }
}

TEST_CASE("rows read in pieces equal the rows read at once, there and back") {
  std::vector<std::byte> data(24 * 3);
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::byte>(i);
  std::vector<std::byte> bias(data.begin(), data.begin() + 24);
  const auto memory = std::make_shared<MemorySource>(
      std::vector<TensorInfo>{{"w", Type::kI8, {3, 24}}, {"b", Type::kI8, {24}}},
      std::vector<std::vector<std::byte>>{data, bias});
  const auto gguf = std::make_shared<RenamedSource>(
      memory, std::vector<RenamedSource::Entry>{{0, "v", 8}, {1, "c", 8}}, RowDirection::kToGguf);
  const std::vector<std::byte> all = gguf->ReadAll(0);
  // Within a head of 8: 0 4 1 5 2 6 3 7.
  CHECK(all[3] == std::byte{12});
  CHECK(all[6] == std::byte{3});
  CHECK(gguf->ReadAll(1)[9] == std::byte{12});
  for (int64_t first = 0; first < 24; ++first) {
    for (int64_t count = 0; first + count <= 24; ++count) {
      std::vector<std::byte> piece(static_cast<size_t>(count) * 3);
      gguf->ReadRows(0, first, count, piece);
      REQUIRE(std::equal(piece.begin(), piece.end(), all.begin() + first * 3));
    }
  }
  const RenamedSource back(gguf, {{0, "w", 8}, {1, "b", 8}}, RowDirection::kToHf);
  CHECK(back.ReadAll(0) == data);
  CHECK(back.ReadAll(1) == bias);
}

// A Llama of one layer whose tensors may be changed before it is named.
struct Small {
  std::map<std::string, TensorInfo> tensors;
  GgufNaming naming{.arch = FindArch("llama"),
                    .dims = {.layers = 1,
                             .embedding = 8,
                             .feed_forward = 6,
                             .heads = 2,
                             .kv_heads = 1,
                             .head_dim = 4,
                             .vocab = 5}};

  Small() {
    for (const TensorRule& rule : naming.arch->tensors) {
      if (rule.hf.empty()) continue;
      const bool in_layer = rule.hf.find("{}") != std::string_view::npos;
      Add(HfName({&rule, in_layer ? 0 : -1, false}), ShapeOf(naming.dims, rule.role));
    }
  }
  void Add(const std::string& name, std::vector<int64_t> shape, Type type = Type::kF32) {
    tensors[name] = {name, type, std::move(shape)};
  }
  std::shared_ptr<TensorSource> Make() const {
    std::vector<TensorInfo> list;
    for (const auto& [name, tensor] : tensors) list.push_back(tensor);
    return MakeGgufNamed(
        std::make_shared<MemorySource>(list, std::vector<std::vector<std::byte>>()), naming);
  }
  std::string Refusal() const {
    return RefusalOf([this] { Make(); });
  }
};

TEST_CASE("extra tensors come first, buffers are left out") {
  Small small;
  const size_t count = small.tensors.size();
  small.Add("model.layers.0.self_attn.rotary_emb.inv_freq", {2});
  small.naming.extra = {{"rope_freqs.weight", {2}, {1, 8}}};
  const auto source = small.Make();
  CHECK(source->tensors().size() == count + 1);
  CHECK(source->tensors()[0].name == "rope_freqs.weight");
  CHECK(testing::Floats(source->ReadAll(0)) == std::vector<float>{1, 8});
  CHECK(source->Find("blk.0.attn_q.weight"));
}

TEST_CASE("a tied output may be absent, and is kept where it is there") {
  Small small;
  CHECK(small.Make()->Find("output.weight"));
  small.tensors.erase("lm_head.weight");
  CHECK(small.Refusal() == "3: memory: tensor 'lm_head.weight' is missing");
  small.naming.tied = true;
  CHECK_FALSE(small.Make()->Find("output.weight"));
  small.Add("lm_head.weight", {8, 5});
  CHECK(small.Make()->Find("output.weight"));
}

TEST_CASE("a checkpoint that is no such model is refused by the tensor's name") {
  struct Case {
    const char* name;
    std::vector<int64_t> shape;
    Type type;
    const char* refusal;
  };
  const Case cases[] = {
      {"model.vision.weight",
       {8},
       Type::kF32,
       "4: memory: tensor 'model.vision.weight' is none that a llama model has"},
      {"model.layers.0.mlp.up_proj.weight.absmax",
       {8},
       Type::kF32,
       "4: memory: tensor 'model.layers.0.mlp.up_proj.weight.absmax' is none that a llama model "
       "has; the checkpoint is quantized by another library"},
      {"model.layers.1.mlp.up_proj.weight",
       {8, 6},
       Type::kF32,
       "3: memory: tensor 'model.layers.1.mlp.up_proj.weight' is of layer 1, the config has 1"},
      {"model.layers.0.mlp.up_proj.weight",
       {6, 8},
       Type::kF32,
       "3: memory: tensor 'model.layers.0.mlp.up_proj.weight' is 6 x 8, by the config it is 8 x 6"},
      {"model.layers.0.self_attn.q_proj.bias",
       {4},
       Type::kF32,
       "3: memory: tensor 'model.layers.0.self_attn.q_proj.bias' is 4, by the config it is 8"},
      {"model.norm.weight",
       {8, 1},
       Type::kF32,
       "3: memory: tensor 'model.norm.weight' is 8 x 1, by the config it is 8"},
      {"model.norm.weight",
       {8},
       Type::kI8,
       "4: memory: tensor 'model.norm.weight' holds i8, floats are wanted"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    Small small;
    small.Add(c.name, c.shape, c.type);
    const std::string refusal = small.Refusal();
    CAPTURE(refusal);
    CHECK(refusal.starts_with(c.refusal));
  }
}

TEST_CASE("every layer is complete") {
  const Small whole;
  for (const auto& entry : whole.tensors) {
    const std::string& name = entry.first;
    CAPTURE(name);
    Small small;
    small.tensors.erase(name);
    CHECK(small.Refusal() == "3: memory: tensor '" + name + "' is missing");
  }
  Small small;
  small.naming.dims.layers = 2;
  CHECK(small.Refusal().find("model.layers.1.") != std::string::npos);
  small.naming.dims.layers = 0;
  CHECK(small.Refusal() == "3: memory: the config has a size of 0");
}

}  // namespace
}  // namespace quern
