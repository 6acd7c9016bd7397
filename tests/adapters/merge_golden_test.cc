// Merges of real PEFT adapters, against what PEFT makes of them.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "adapters/merge_check.h"
#include "adapters/merged_source.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json_text.h"
#include "convert/checkpoint.h"
#include "convert/gguf_named_source.h"
#include "gguf/keys.h"
#include "quant/typed_source.h"
#include "tests/support/golden_merge.h"
#include "tests/support/paths.h"

namespace quern {
namespace {

struct Case {
  const char* adapter;
  const char* base;
  const char* golden;  // the folder whose merged.safetensors it should give
};

constexpr Case kCases[] = {
    {"modern", "tiny-llama", "modern"},
    {"modern-checkpoint", "tiny-llama", "modern"},
    {"modern-bin", "tiny-llama", "modern"},
    {"shout", "tiny-llama", "shout"},
    {"rslora-patterns", "families/llama-linear-bias", "rslora-patterns"},
    {"regex-layers", "families/mistral-headdim", "regex-layers"},
    {"layers-to-transform", "families/qwen3", "layers-to-transform"},
    {"lora-bias", "families/llama-linear-bias", "lora-bias"},
    {"bias-all", "families/qwen2", "bias-all"},
    {"bias-lora-only", "families/llama-linear-bias", "bias-lora-only"},
    {"dora", "families/qwen3", "dora"},
    {"dora-tied-embedding", "families/qwen2", "dora-tied-embedding"},
    {"embedding", "families/mistral-headdim", "embedding"},
    {"lm-head-tied", "families/llama3-scaled", "lm-head-tied"},
    {"trainable-tokens", "families/mistral-window", "trainable-tokens"},
    {"grown-vocab", "families/llama-yarn-sharded", "grown-vocab"},
};

// A case with its files opened.
struct Opened {
  std::shared_ptr<const TensorSource> base;
  std::vector<WeightedAdapter> adapters;
  std::filesystem::path folder, golden;
};

std::optional<Opened> Open(const Case& c) {
  Opened opened{.base = nullptr,
                .adapters = {},
                .folder = testing::Shared(std::string("models/") + c.base),
                .golden = testing::Shared(std::string("models/adapters/") + c.golden +
                                          "/merged.safetensors")};
  const auto adapter = testing::Shared(std::string("models/adapters/") + c.adapter);
  if (opened.folder.empty() || adapter.empty() || opened.golden.empty()) {
    testing::SaySkipped(c.adapter);
    return std::nullopt;
  }
  opened.base = Checkpoint::Open(opened.folder);
  opened.adapters = {{testing::OpenAdapter(adapter), 1}};
  return opened;
}

// The names and the shapes of GGUF, and the keys that tell them.
struct Naming {
  GgufNaming naming;
  Metadata keys;
};

Naming NamingOf(const std::filesystem::path& folder) {
  const auto config = ParseJson(ReadFile(folder / "config.json"), "config.json");
  Naming out;
  out.naming.arch = FindArchByHfClass(config["architectures"][0].get<std::string>());
  REQUIRE(out.naming.arch);
  Dims& dims = out.naming.dims;
  dims.layers = config["num_hidden_layers"];
  dims.embedding = config["hidden_size"];
  dims.feed_forward = config["intermediate_size"];
  dims.heads = config["num_attention_heads"];
  dims.kv_heads = config["num_key_value_heads"];
  dims.head_dim = config.value("head_dim", dims.embedding / dims.heads);
  dims.vocab = config["vocab_size"];
  out.naming.tied = config.value("tie_word_embeddings", false);
  const std::string arch(out.naming.arch->gguf);
  out.keys.Set(keys::kArchitecture, arch);
  out.keys.Set(arch + ".attention.head_count", static_cast<uint32_t>(dims.heads));
  out.keys.Set(arch + ".attention.head_count_kv", static_cast<uint32_t>(dims.kv_heads));
  return out;
}

// A checkpoint as convert writes it: GGUF's names, matrices in `type`, vectors in f32.
std::shared_ptr<const TensorSource> Converted(std::shared_ptr<const TensorSource> hf,
                                              const GgufNaming& naming, Type type) {
  auto named = MakeGgufNamed(std::move(hf), naming);
  std::vector<Type> types;
  for (const TensorInfo& tensor : named->tensors()) {
    types.push_back(tensor.shape.size() == 1 ? Type::kF32 : type);
  }
  return std::make_shared<TypedSource>(std::move(named), types);
}

// A source whose tensor `wrong` has one weight (the last) that is four steps of bf16 off.
class OneWrong : public TensorSource {
 public:
  OneWrong(const TensorSource& source, size_t wrong)
      : TensorSource(source.name(), source.tensors()), source_(source), wrong_(wrong) {}
  void ReadRows(size_t index, int64_t first, int64_t count,
                std::span<std::byte> out) const override {
    source_.ReadRows(index, first, count, out);
    if (index == wrong_ && first + count == tensors()[index].rows()) {
      out[out.size() - 2] ^= std::byte{4};
    }
  }

 private:
  const TensorSource& source_;
  size_t wrong_;
};

struct BadCase {
  const char* adapter;
  const char* base;
  ErrorKind kind;
  const char* text;  // of the error
};

constexpr BadCase kBadCases[] = {
    {"bad/untrained", "tiny-llama", ErrorKind::kBadInput, "zero"},
    {"bad/nan", "tiny-llama", ErrorKind::kNonFinite, "lora_B.weight' has NaN"},
    {"bad/other-model", "tiny-llama", ErrorKind::kBadInput, "lora_B.weight' has 224 rows"},
    {"bad/orphan", "tiny-llama", ErrorKind::kBadInput, "lora_A.weight' has no lora_B"},
    {"bad/unknown-module", "tiny-llama", ErrorKind::kBadInput, "layers.9.self_attn"},
    {"bad/not-targeted", "tiny-llama", ErrorKind::kBadInput, "v_proj"},
    {"bad/zero-rank-scale", "tiny-llama", ErrorKind::kBadInput, "scale"},
    {"bad/not-lora", "tiny-llama", ErrorKind::kUnsupported, "IA3"},
    {"pissa", "families/llama-linear-bias", ErrorKind::kUnsupported, "pissa"},
};

TEST_CASE("merges into a HF checkpoint equal PEFT's") {
  for (const Case& c : kCases) {
    INFO(c.adapter);
    const auto opened = Open(c);
    if (!opened) continue;
    const MergedSource merged(opened->base, HfBaseNames(*opened->base), opened->adapters);
    testing::CheckMerged(*opened->base, merged, HfBaseNames(merged), opened->golden);
  }
}

TEST_CASE("merges into a GGUF model equal PEFT's") {
  for (const Case& c : kCases) {
    const auto opened = Open(c);
    if (!opened) continue;
    const Naming naming = NamingOf(opened->folder);
    for (const Type type : {Type::kF32, Type::kBF16}) {
      // The delta of an embedding is rounded to the base's type, and PEFT's base had bf16.
      if (type == Type::kF32 && c.adapter == std::string("embedding")) continue;
      INFO(c.adapter);
      CAPTURE(NameOf(type));
      const auto base = Converted(opened->base, naming.naming, type);
      const MergedSource merged(base, GgufBaseNames(*base, naming.keys), opened->adapters);
      testing::CheckMerged(*base, merged, GgufBaseNames(merged, naming.keys), opened->golden);
    }
  }
}

TEST_CASE("merging then converting to bf16 gives the bytes of converting then merging") {
  for (const Case& c : kCases) {
    INFO(c.adapter);
    const auto opened = Open(c);
    if (!opened) continue;
    const Naming naming = NamingOf(opened->folder);
    auto merged =
        std::make_shared<MergedSource>(opened->base, HfBaseNames(*opened->base), opened->adapters);
    GgufNaming merged_naming = naming.naming;
    if (merged->report().vocab > 0) merged_naming.dims.vocab = merged->report().vocab;
    const auto one = Converted(std::move(merged), merged_naming, Type::kBF16);
    const auto base = Converted(opened->base, naming.naming, Type::kBF16);
    const MergedSource two(base, GgufBaseNames(*base, naming.keys), opened->adapters);
    REQUIRE(one->tensors().size() == two.tensors().size());
    for (size_t t = 0; t < two.tensors().size(); ++t) {
      CAPTURE(two.tensors()[t].name);
      CHECK(one->tensors()[t].name == two.tensors()[t].name);
      CHECK(one->tensors()[t].type == two.tensors()[t].type);
      CHECK(one->ReadAll(t) == two.ReadAll(t));
    }
  }
}

TEST_CASE("bad adapters are refused, each with its reason") {
  for (const BadCase& c : kBadCases) {
    INFO(c.adapter);
    const auto base_path = testing::Shared(std::string("models/") + c.base);
    const auto adapter_path = testing::Shared(std::string("models/adapters/") + c.adapter);
    if (base_path.empty() || adapter_path.empty()) {
      testing::SaySkipped(c.adapter);
      continue;
    }
    ErrorKind kind{};
    std::string text;
    try {
      const std::shared_ptr<Checkpoint> base = Checkpoint::Open(base_path);
      const std::vector<WeightedAdapter> adapters = {{testing::OpenAdapter(adapter_path), 1}};
      const MergedSource merged(base, HfBaseNames(*base), adapters);
    } catch (const Error& error) {
      kind = error.kind();
      text = error.what();
    }
    CAPTURE(text);
    CHECK(kind == c.kind);
    CHECK(text.find(c.text) != std::string::npos);
  }
}

TEST_CASE("a merge is what the formulas give in double, and a wrong weight in it is found") {
  for (const Case& c : kCases) {
    INFO(c.adapter);
    const auto opened = Open(c);
    if (!opened) continue;
    const BaseNames names = HfBaseNames(*opened->base);
    const MergedSource merged(opened->base, names, opened->adapters);
    const BaseNames merged_names = HfBaseNames(merged);
    const MergeCheck check =
        CheckMerge(*opened->base, names, opened->adapters, merged, merged_names);
    CHECK(check.tensors == static_cast<int64_t>(merged.tensors().size()));
    CHECK(check.changed > 0);
    CHECK(check.max_steps <= 1.001);
    for (size_t t = 0; t < merged.tensors().size(); ++t) {
      if (!merged.Changes(t) && t > 0) continue;
      CAPTURE(merged.tensors()[t].name);
      const OneWrong wrong(merged, t);
      try {
        CheckMerge(*opened->base, names, opened->adapters, wrong, merged_names);
        FAIL("not found");
      } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::kOutput);
        CHECK(std::string(error.what()).find(merged.tensors()[t].name) != std::string::npos);
      }
      if (merged.Changes(t)) break;
    }
  }
}

}  // namespace
}  // namespace quern
