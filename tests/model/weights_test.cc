#include "model/weights.h"

#include <doctest/doctest.h>

#include <functional>

#include "base/error.h"
#include "model/runner.h"
#include "tests/support/paths.h"
#include "tests/support/small_model.h"

namespace quern {
namespace {

using testing::SmallModel;

// The error that loading gives, and what it says.
struct Refusal {
  ErrorKind kind;
  std::string message;
};

Refusal RefusalOf(const std::function<void(SmallModel&)>& spoil) {
  const testing::TempDir dir;
  SmallModel model;
  model.Make();
  spoil(model);
  model.Write(dir / "m.gguf");
  try {
    Runner::Open(dir / "m.gguf");
  } catch (const Error& error) {
    return {error.kind(), error.what()};
  }
  FAIL("the model was loaded");
  return {};
}

void CheckRefused(const char* word, ErrorKind kind, const std::function<void(SmallModel&)>& spoil) {
  CAPTURE(word);
  const Refusal refusal = RefusalOf(spoil);
  CAPTURE(refusal.message);
  CHECK(refusal.kind == kind);
  CHECK(refusal.message.find("m.gguf") != std::string::npos);
  CHECK(refusal.message.find(word) != std::string::npos);
}

void SetKey(SmallModel& model, const char* key, Value value) {
  model.metadata.Set(std::string("llama.") + key, std::move(value));
}

TEST_CASE("keys out of range or at odds are refused by name") {
  const auto zero_or_huge = {
      "block_count",          "embedding_length",        "feed_forward_length",
      "attention.head_count", "attention.head_count_kv", "context_length"};
  for (const char* key : zero_or_huge) {
    CheckRefused(key, ErrorKind::kBadInput, [&](SmallModel& m) { SetKey(m, key, uint32_t{0}); });
    CheckRefused(key, ErrorKind::kBadInput,
                 [&](SmallModel& m) { SetKey(m, key, uint64_t{1} << 62); });
    CheckRefused(key, ErrorKind::kBadInput, [&](SmallModel& m) { SetKey(m, key, int32_t{-4}); });
    CheckRefused(key, ErrorKind::kBadInput, [&](SmallModel& m) { SetKey(m, key, "four"); });
  }
  CheckRefused("block_count", ErrorKind::kBadInput,
               [](SmallModel& m) { m.metadata.Remove("llama.block_count"); });
  CheckRefused("key-value heads", ErrorKind::kBadInput,
               [](SmallModel& m) { SetKey(m, "attention.head_count_kv", uint32_t{3}); });
  CheckRefused("rope.dimension_count", ErrorKind::kBadInput,
               [](SmallModel& m) { SetKey(m, "rope.dimension_count", uint32_t{7}); });
  CheckRefused("rope.dimension_count", ErrorKind::kBadInput,
               [](SmallModel& m) { SetKey(m, "rope.dimension_count", uint32_t{10}); });
  CheckRefused("rope.freq_base", ErrorKind::kBadInput,
               [](SmallModel& m) { SetKey(m, "rope.freq_base", -1.0f); });
  CheckRefused("rope.freq_base", ErrorKind::kBadInput,
               [](SmallModel& m) { SetKey(m, "rope.freq_base", NAN); });
  CheckRefused("announced", ErrorKind::kBadInput,
               [](SmallModel& m) { SetKey(m, "block_count", uint32_t{4000}); });
}

TEST_CASE("what cannot be run is refused as unsupported") {
  CheckRefused("mamba", ErrorKind::kUnsupported,
               [](SmallModel& m) { m.metadata.Set("general.architecture", Value("mamba")); });
  CheckRefused("longrope", ErrorKind::kUnsupported,
               [](SmallModel& m) { SetKey(m, "rope.scaling.type", "longrope"); });
  CheckRefused("experts", ErrorKind::kUnsupported,
               [](SmallModel& m) { SetKey(m, "expert_count", uint32_t{8}); });
  CheckRefused("ffn_gate_exps", ErrorKind::kUnsupported,
               [](SmallModel& m) { m.Add("blk.0.ffn_gate_exps", 32, 48); });
  CheckRefused("differs", ErrorKind::kUnsupported, [](SmallModel& m) {
    const std::vector<uint32_t> heads = {2, 4};
    SetKey(m, "attention.head_count_kv", Array::Of<uint32_t>(heads));
  });
}

TEST_CASE("tensors whose shapes lie, are missing or stand in no layer are refused by name") {
  SmallModel whole;
  whole.Make();
  for (const auto& tensor : whole.tensors) {
    const std::string name = tensor.name;
    CAPTURE(name);
    if (name != "output.weight") {
      CheckRefused(name.c_str(), ErrorKind::kBadInput, [&](SmallModel& m) {
        std::erase_if(m.tensors, [&](const auto& t) { return t.name == name; });
      });
    }
    // One column more, then one row more; the data are there, so only the shape is at odds.
    CheckRefused(name.c_str(), ErrorKind::kBadInput, [&](SmallModel& m) {
      auto& spoiled = m.Find(name);
      ++spoiled.shape[0];
      spoiled.values.resize(spoiled.values.size() * 2);
      spoiled.values.resize(static_cast<size_t>(spoiled.shape[0] *
                                                (spoiled.shape.size() > 1 ? spoiled.shape[1] : 1)));
    });
    if (tensor.shape.size() > 1 && name != "token_embd.weight") {
      CheckRefused(name.c_str(), ErrorKind::kBadInput, [&](SmallModel& m) {
        auto& spoiled = m.Find(name);
        ++spoiled.shape[1];
        spoiled.values.resize(static_cast<size_t>(spoiled.shape[0] * spoiled.shape[1]));
      });
    }
  }
  CheckRefused("layer 2", ErrorKind::kBadInput,
               [](SmallModel& m) { m.Add("blk.2.attn_norm", 32); });
  CheckRefused("output.weight", ErrorKind::kBadInput, [](SmallModel& m) {
    auto& embedding = m.Find("token_embd.weight");
    ++embedding.shape[1];
    embedding.values.resize(embedding.values.size() + 32);
  });
}

TEST_CASE("a model without an output uses its embedding, and biases are added") {
  const testing::TempDir dir;
  SmallModel model;
  model.Make();
  std::erase_if(model.tensors, [](const auto& t) { return t.name == "output.weight"; });
  model.Write(dir / "tied.gguf");
  auto copy = model.Find("token_embd.weight");
  copy.name = "output.weight";
  model.tensors.push_back(copy);
  model.Write(dir / "untied.gguf");
  const std::vector<TokenId> ids = {3, 1, 4};
  const auto tied = Runner::Open(dir / "tied.gguf")->LogitsAfter(ids);
  CHECK(tied == Runner::Open(dir / "untied.gguf")->LogitsAfter(ids));

  testing::MemoryTensor bias{"blk.1.ffn_down.bias", {32}, std::vector<float>(32, 0.0f)};
  model.tensors.push_back(bias);
  model.Write(dir / "bias.gguf");
  CHECK(tied == Runner::Open(dir / "bias.gguf")->LogitsAfter(ids));
  model.tensors.back().values.assign(32, 0.5f);
  model.Write(dir / "bias.gguf");
  CHECK(tied != Runner::Open(dir / "bias.gguf")->LogitsAfter(ids));
}

TEST_CASE("a low-rank term counts as what it adds to its matrix") {
  const testing::TempDir dir;
  SmallModel model;
  model.Make();
  model.Write(dir / "m.gguf");
  const auto file = GgufModel::Open(dir / "m.gguf");
  const std::vector<TokenId> ids = {3, 1, 4, 1, 5};
  for (const char* name : {"token_embd.weight", "blk.1.ffn_down.weight", "output.weight"}) {
    CAPTURE(name);
    SmallModel changed = model;
    testing::MemoryTensor& matrix = changed.Find(name);
    LowRankTerm term{.weight = name,
                     .rows = matrix.shape[1],
                     .rank = 3,
                     .cols = matrix.shape[0],
                     .up = testing::Normal(3 * matrix.shape[1], 7),
                     .down = testing::Normal(3 * matrix.shape[0], 8)};
    for (size_t i = 0; i < matrix.values.size(); ++i) {
      const auto row = i / static_cast<size_t>(term.cols), col = i % static_cast<size_t>(term.cols);
      for (size_t k = 0; k < 3; ++k) {
        matrix.values[i] += term.up[k * static_cast<size_t>(term.rows) + row] *
                            term.down[k * static_cast<size_t>(term.cols) + col];
      }
    }
    changed.Write(dir / "changed.gguf");
    const auto wanted = Runner::Open(dir / "changed.gguf")->LogitsAfter(ids);
    Adaptation adaptation;
    adaptation.terms.push_back(term);
    const auto got = Runner::Open(file, std::move(adaptation))->LogitsAfter(ids);
    testing::CheckNear(got, std::vector<double>(wanted.begin(), wanted.end()), 1e-4);

    term.cols += 1;
    Adaptation wrong;
    wrong.terms.push_back(term);
    CHECK_THROWS_AS(Runner::Open(file, std::move(wrong)), Error);
  }
}

TEST_CASE("NaN weights run to their end, and sampling from them is an error") {
  const testing::TempDir dir;
  SmallModel model;
  model.Make();
  model.Find("blk.0.attn_q.weight").values[5] = NAN;
  model.Write(dir / "m.gguf");
  const auto logits = Runner::Open(dir / "m.gguf")->LogitsAfter(std::vector<TokenId>{3, 1, 4});
  CHECK(std::isnan(logits[0]));
  CHECK_THROWS_AS(Sampler({}).Sample(logits), Error);
}

}  // namespace
}  // namespace quern
