// Which weights an adapter is merged into, and the record that a merge leaves.
#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "convert/checkpoint.h"
#include "gguf/gguf_reader.h"
#include "tests/support/logits.h"
#include "tests/support/paths.h"
#include "tests/support/process.h"

namespace quern {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::Quern;
using testing::QuernDone;

void CheckSameTensors(const TensorSource& a, const TensorSource& b) {
  REQUIRE(a.tensors().size() == b.tensors().size());
  for (size_t t = 0; t < a.tensors().size(); ++t) {
    CAPTURE(a.tensors()[t].name);
    const auto index = b.Find(a.tensors()[t].name);
    REQUIRE(index);
    CHECK(a.tensors()[t].type == b.tensors()[*index].type);
    CHECK(a.ReadAll(t) == b.ReadAll(*index));
  }
}

std::string HashOf(const fs::path& path) {
  const std::string bytes = testing::ReadText(path);
  return HexOf(Xxh64::Of(std::as_bytes(std::span(bytes))));
}

TEST_CASE("a 4-bit checkpoint merges as the 16-bit one does with --base-mode dequantized") {
  QUERN_NEEDS_SHARED(plain, "models/families/qwen3");
  QUERN_NEEDS_SHARED(adapter, "models/adapters/layers-to-transform");
  for (const char* type : {"nf4", "fp4"}) {
    CAPTURE(type);
    const auto base = testing::Shared(std::string("models/bnb/") + type);
    if (base.empty()) {
      testing::SaySkipped(type);
      continue;
    }
    testing::TempDir dir;
    const auto at = [&](const char* name) { return (dir / name).string(); };
    const std::vector<std::string> mode = {"--base-mode", "dequantized", "--bnb-type", type};
    const auto with_mode = [&](std::vector<std::string> words) {
      words.insert(words.end(), mode.begin(), mode.end());
      return words;
    };
    const std::string a = adapter.string(), p = plain.string();
    QuernDone({"merge-lora", base.string(), a, at("one"), "--verify"});
    QuernDone(with_mode({"merge-lora", p, a, at("two"), "--verify"}));
    CHECK(testing::ReadText(dir / "one/model.safetensors") ==
          testing::ReadText(dir / "two/model.safetensors"));
    // The result is no 4-bit model any more.
    CHECK_FALSE(
        json::parse(testing::ReadText(dir / "one/config.json")).contains("quantization_config"));
    QuernDone({"convert", base.string(), "--lora", a, "--outfile", at("one.gguf")});
    QuernDone(with_mode({"convert", p, "--lora", a, "--outfile", at("two.gguf")}));
    QuernDone({"convert", p, "--outfile", at("plain.gguf")});
    QuernDone(with_mode({"merge-lora", at("plain.gguf"), a, at("three.gguf"), "--verify"}));
    QuernDone({"convert", at("one"), "--outfile", at("four.gguf")});
    const auto one = GgufModel::Open(dir / "one.gguf");
    for (const char* name : {"two.gguf", "three.gguf", "four.gguf"}) {
      CAPTURE(name);
      CheckSameTensors(*one, *GgufModel::Open(dir / name));
    }
    CHECK(one->metadata().Text("quern.merge.base.mode") == "dequantized");
    CHECK(one->metadata().Text("quern.merge.base.quantization") == type);
    CHECK_FALSE(GgufModel::Open(dir / "plain.gguf")->metadata().Has("quern.merge.base.mode"));
  }
}

TEST_CASE("checkpoints of bitsandbytes convert, and stay near the model they were made from") {
  QUERN_NEEDS_SHARED(plain, "models/families/qwen3");
  const auto logit = [](const fs::path& base) {
    testing::TempDir dir;
    const auto out = (dir / "model.gguf").string();
    QuernDone({"convert", base.string(), "--outfile", out});
    CHECK(GgufModel::Open(out)->metadata().Int("general.file_type") == 32);  // bf16, as the rest is
    return testing::LogitsOf({"-m", out, "--tokens", "5,17,200,33,7"}, 512);
  };
  const auto wanted = logit(plain);
  // The cosine of both rows of logits.
  const auto likeness = [&](const std::map<int, double>& got) {
    double ab = 0, aa = 0, bb = 0;
    REQUIRE(got.size() == wanted.size());
    for (const auto& [id, logit] : got) {
      const double other = wanted.at(id);
      ab += other * logit;
      aa += other * other;
      bb += logit * logit;
    }
    return ab / std::sqrt(aa * bb);
  };
  for (const auto& kind :
       {std::pair{"nf4", 0.9}, {"nf4-nested", 0.9}, {"fp4", 0.85}, {"int8", 0.999}}) {
    const std::string name = kind.first;
    CAPTURE(name);
    const auto base = testing::Shared("models/bnb/" + name);
    if (base.empty()) {
      testing::SaySkipped(name);
      continue;
    }
    CHECK(likeness(logit(base)) > kind.second);
  }
}

TEST_CASE("an int8 base gives a folder in its config's type") {
  QUERN_NEEDS_SHARED(base, "models/bnb/int8");
  QUERN_NEEDS_SHARED(adapter, "models/adapters/layers-to-transform");
  testing::TempDir dir;
  QuernDone({"merge-lora", base.string(), adapter.string(), (dir / "out").string(), "--verify"});
  for (const TensorInfo& tensor : Checkpoint::Open(dir / "out")->tensors()) {
    CHECK(tensor.type == Type::kBF16);
  }
}

TEST_CASE("a mode that the base does not have is an error of the command line") {
  QUERN_NEEDS_SHARED(base, "models/bnb/nf4");
  QUERN_NEEDS_SHARED(plain, "models/families/qwen3");
  QUERN_NEEDS_SHARED(adapter, "models/adapters/layers-to-transform");
  testing::TempDir dir;
  const auto run = [&](const fs::path& model, std::vector<std::string> options) {
    options.insert(options.begin(),
                   {"merge-lora", model.string(), adapter.string(), (dir / "out").string()});
    return Quern(options);
  };
  const auto original = run(base, {"--base-mode", "original"});
  CHECK(original.exit_code == 2);
  CHECK(original.err.find("the checkpoint of 16 or 32 bits") != std::string::npos);
  CHECK(run(base, {"--base-mode", "dequantized", "--bnb-type", "nf4"}).exit_code == 2);
  CHECK(run(plain, {"--base-mode", "both"}).exit_code == 2);
  CHECK(run(plain, {"--bnb-type", "nf4"}).exit_code == 2);
  CHECK(run(plain, {"--base-mode", "dequantized", "--bnb-type", "nf3"}).exit_code == 2);
  CHECK(run(plain, {"--base-mode", "dequantized", "--bnb-type", "int8-nested"}).exit_code == 2);
  CHECK(Quern({"convert", plain.string(), "--base-mode", "dequantized", "--outfile",
               (dir / "x.gguf").string()})
            .exit_code == 2);
  CHECK(testing::NamesIn(dir.path()).empty());
}

TEST_CASE("a merge records what went into it") {
  QUERN_NEEDS_SHARED(base, "models/families/llama3-scaled");
  QUERN_NEEDS_SHARED(adapter, "models/adapters/lm-head-tied");
  testing::TempDir dir;
  const std::string text = adapter.string() + ":0.5";
  QuernDone({"merge-lora", base.string(), text, (dir / "out").string()});
  const auto manifest = json::parse(testing::ReadText(dir / "out/quern-merge.json"));
  CHECK(manifest["base"]["mode"] == "original");
  CHECK(manifest["base"]["files"][0]["xxh64"] == HashOf(base / "model.safetensors"));
  CHECK(manifest["adapters"][0]["weight"] == 0.5);
  CHECK(manifest["adapters"][0]["files"][0]["xxh64"] ==
        HashOf(adapter / "adapter_model.safetensors"));
  CHECK(manifest["combination"]["way"] == "sum");
  CHECK(manifest["untied"] == true);
  REQUIRE(manifest["deltas"].size() > 0);
  CHECK(manifest["deltas"][0]["norm"] > 0);

  const auto out = (dir / "out.gguf").string();
  const auto result = Quern({"merge-lora", base.string(), text, out, "--json", "--verify"});
  REQUIRE(result.exit_code == 0);
  const auto printed = json::parse(result.out);
  CHECK(printed["verified"]["changed"] == manifest["deltas"].size());
  CHECK(printed["verified"]["max_steps"] < 0.51);
  const auto beside = json::parse(testing::ReadText(out + ".merge.json"));
  CHECK(beside["deltas"] == manifest["deltas"]);
  const auto model = GgufModel::Open(out);
  const Metadata& keys = model->metadata();
  CHECK(keys.NeedArray("quern.merge.base.xxh64").strings() ==
        std::vector<std::string>{HashOf(base / "model.safetensors")});
  CHECK(keys.NeedArray("quern.merge.adapter.xxh64").strings() ==
        std::vector<std::string>{HashOf(adapter / "adapter_model.safetensors")});
  CHECK(keys.NeedArray("quern.merge.adapter.weights").ToDoubles() == std::vector<double>{0.5});
  CHECK(keys.NeedArray("quern.merge.delta.norms").size() == manifest["deltas"].size());
  CHECK(keys.Bool("quern.merge.untied") == true);
}

TEST_CASE("Llama's own checkpoint, and back") {
  QUERN_NEEDS_SHARED(base, "models/tiny-llama");
  QUERN_NEEDS_SHARED(adapter, "models/adapters/modern");
  testing::TempDir dir;
  const auto out = dir / "pth";
  QuernDone(
      {"merge-lora", base.string(), adapter.string(), out.string(), "--format", "pth", "--verify"});
  QuernDone({"merge-lora", base.string(), adapter.string(), (dir / "m.gguf").string(), "--outtype",
             "bf16"});
  const auto pth = Checkpoint::Open(out / "consolidated.00.pth");
  const auto gguf = GgufModel::Open(dir / "m.gguf");
  CHECK(pth->tensors().size() == gguf->tensors().size());
  // GGUF has the rows in the order of Llama's own code too.
  for (const auto& names : {std::pair{"layers.3.attention.wq.weight", "blk.3.attn_q.weight"},
                            {"layers.0.attention.wk.weight", "blk.0.attn_k.weight"},
                            {"layers.5.attention.wo.weight", "blk.5.attn_output.weight"},
                            {"layers.1.feed_forward.w1.weight", "blk.1.ffn_gate.weight"},
                            {"layers.1.feed_forward.w2.weight", "blk.1.ffn_down.weight"},
                            {"layers.1.feed_forward.w3.weight", "blk.1.ffn_up.weight"},
                            {"tok_embeddings.weight", "token_embd.weight"},
                            {"output.weight", "output.weight"}}) {
    CAPTURE(names.first);
    const auto one = pth->Find(names.first), two = gguf->Find(names.second);
    REQUIRE(one);
    if (!two) continue;
    CHECK(pth->ReadAll(*one) == gguf->ReadAll(*two));
  }
  CHECK(pth->Find("layers.2.attention_norm.weight"));
  CHECK(pth->Find("layers.2.ffn_norm.weight"));
  CHECK(pth->Find("norm.weight"));
  const auto params = json::parse(testing::ReadText(out / "params.json"));
  CHECK(params["dim"] == 256);
  CHECK(params["n_layers"] == 6);
  CHECK(params["n_kv_heads"] == 4);
  CHECK(params["vocab_size"] == -1);
  const int64_t multiple = params["multiple_of"];
  CHECK((2 * 4 * 256 / 3 + multiple - 1) / multiple * multiple == 768);
  CHECK(testing::NamesIn(out) == std::vector<std::string>{"consolidated.00.pth", "params.json",
                                                          "quern-merge.json", "tokenizer.model"});
  QUERN_NEEDS_SHARED(qwen, "models/families/qwen3");
  QUERN_NEEDS_SHARED(other, "models/adapters/layers-to-transform");
  CHECK(
      Quern({"merge-lora", qwen.string(), other.string(), (dir / "x").string(), "--format", "pth"})
          .exit_code == 4);
}

}  // namespace
}  // namespace quern
