// Adapters that fit a base only in part, or change nothing: every command that merges refuses them
// by the tensor's name, and leaves nothing behind.
#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "gguf/gguf_reader.h"
#include "gguf/gguf_writer.h"
#include "tests/support/adapter_files.h"
#include "tests/support/memory_source.h"
#include "tests/support/paths.h"
#include "tests/support/process.h"

namespace quern {
namespace {

namespace fs = std::filesystem;
using testing::AdapterFiles;
using testing::MemoryTensor;
using testing::NamesIn;
using testing::Quern;
using testing::QuernDone;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

const std::string kQ3 = "base_model.model.model.layers.3.self_attn.q_proj";
const std::string kV5 = "base_model.model.model.layers.5.self_attn.v_proj";
const std::string kA = ".lora_A.weight", kB = ".lora_B.weight";

struct Case {
  const char* what;
  int exit_code;
  std::string named;  // what the message must name
  std::function<void(AdapterFiles&)> change;
};

// Changes of `modern`: rank 8 of q_proj and v_proj in each of six layers, 256 wide.
std::vector<Case> Cases() {
  const auto without = [](const std::string& name) {
    return [name](AdapterFiles& files) { files.tensors.erase(name); };
  };
  const auto value = [](const std::string& name, float number) {
    return [name, number](AdapterFiles& files) { files.tensors.at(name).values.at(77) = number; };
  };
  const auto shape = [](const std::string& name, std::vector<int64_t> sizes) {
    return [name, sizes](AdapterFiles& files) {
      int64_t count = 1;
      for (const int64_t size : sizes) count *= size;
      auto& tensor = files.tensors.at(name);
      tensor.shape = sizes;
      tensor.values.resize(static_cast<size_t>(count), 0.5f);
    };
  };
  const auto config = [](const char* key, nlohmann::json json) {
    return [key, json](AdapterFiles& files) { files.config[key] = json; };
  };
  return {
      {"matches nothing", 3, "layers.0.attn.c_attn.lora_",
       [](AdapterFiles& files) {
         files.RenameAll("self_attn.q_proj", "attn.c_attn");
         files.RenameAll("self_attn.v_proj", "attn.c_proj");
         files.config["target_modules"] = {"c_attn", "c_proj"};
       }},
      {"targets other modules", 3, "layers.0.self_attn.q_proj.lora_A",
       config("target_modules", {"up_proj"})},
      {"names of another family", 3, "base_model.model.transformer.h.0.",
       [](AdapterFiles& files) { files.RenameAll("model.layers.", "transformer.h."); }},
      {"names without PEFT's prefix", 3, "'model.layers.0.self_attn.q_proj.lora_A.weight'",
       [](AdapterFiles& files) { files.RenameAll("base_model.model.", ""); }},
      {"a layer that the base has not", 3, "layers.17.self_attn.v_proj.lora_",
       [](AdapterFiles& files) {
         for (const std::string& part : {kA, kB}) {
           files.Rename(kV5 + part, "base_model.model.model.layers.17.self_attn.v_proj" + part);
         }
       }},
      {"half of the layers", 3, "'model.layers.5.self_attn.v_proj'",
       [](AdapterFiles& files) {
         for (const std::string& part : {kA, kB}) files.tensors.erase(kV5 + part);
       }},
      {"a module more than there are tensors", 3, "'model.layers.0.self_attn.k_proj'",
       config("target_modules", {"q_proj", "k_proj", "v_proj"})},
      {"A without B", 3, kQ3 + kA, without(kQ3 + kB)},
      {"B without A", 3, kQ3 + kB, without(kQ3 + kA)},
      {"a tensor that nothing uses", 3, kQ3 + ".lora_magnitude_vector",
       [](AdapterFiles& files) {
         files.tensors[kQ3 + ".lora_magnitude_vector"] = {{256}, std::vector<float>(256, 1)};
       }},
      {"a tensor of no kind", 3, kQ3 + ".lora_C.weight",
       [](AdapterFiles& files) {
         files.tensors[kQ3 + ".lora_C.weight"] = files.tensors.at(kQ3 + kA);
       }},
      {"B of another rank", 3, kQ3 + kA, shape(kQ3 + kB, {256, 7})},
      {"A of another width", 3, kQ3 + kA, shape(kQ3 + kA, {8, 255})},
      {"B of another height", 3, kQ3 + kB, shape(kQ3 + kB, {257, 8})},
      {"A transposed", 3, kQ3 + kA, shape(kQ3 + kA, {256, 8})},
      {"a vector", 4, kQ3 + kA, shape(kQ3 + kA, {2048})},
      {"no ranks at all", 3, kQ3 + kA,
       [=](AdapterFiles& files) {
         shape(kQ3 + kA, {0, 256})(files);
         shape(kQ3 + kB, {256, 0})(files);
       }},
      {"NaN", 6, kV5 + kA, value(kV5 + kA, kNan)},
      {"Inf", 6, kV5 + kB, value(kV5 + kB, -kInf)},
      {"alpha 0", 3, "model.layers.0.self_attn.q_proj", config("lora_alpha", 0)},
      {"alpha 0 of some", 3, "model.layers.0.self_attn.v_proj",
       config("alpha_pattern", {{"v_proj", 0}})},
      {"a scale that float32 has as 0", 3, "model.layers.0.self_attn.q_proj",
       config("lora_alpha", 1e-60)},
      {"a scale beyond float32", 3, "model.layers.0.self_attn.q_proj", config("lora_alpha", 1e60)},
      {"untrained", 3, "adapter_model.safetensors",
       [](AdapterFiles& files) {
         for (auto& [name, tensor] : files.tensors) {
           if (name.ends_with(kB)) std::fill(tensor.values.begin(), tensor.values.end(), 0.0f);
         }
       }},
      {"biases that the config does not tell of", 3, kQ3 + ".lora_B.bias",
       [](AdapterFiles& files) {
         files.tensors[kQ3 + ".lora_B.bias"] = {{256}, std::vector<float>(256, 1)};
       }},
      {"a key that changes the result", 4, "'layer_replication'",
       config("layer_replication", {{0, 4}, {2, 6}})},
      {"a whole module that the base has not", 3, "base_model.model.classifier.weight",
       [](AdapterFiles& files) {
         files.config["modules_to_save"] = {"classifier"};
         files.tensors["base_model.model.classifier.weight"] = {{2, 256},
                                                                std::vector<float>(512, 1)};
       }},
  };
}

// The bases that a merge begins with.
struct Bases {
  fs::path hf, f32, q8;
  Bases(const fs::path& folder, const testing::TempDir& dir)
      : hf(folder), f32(dir / "f32.gguf"), q8(dir / "q8.gguf") {
    QuernDone({"convert", hf, "--outtype", "f32", "--outfile", f32});
    QuernDone({"convert", hf, "--outtype", "q8_0", "--outfile", q8});
  }

  // Every way to merge, into `out` where it writes.
  std::vector<std::vector<std::string>> Commands(const std::string& adapter,
                                                 const fs::path& out) const {
    return {
        {"merge-lora", hf, adapter, out / "folder"},
        {"merge-lora", hf, adapter, out / "folder", "--format", "pth"},
        {"merge-lora", hf, adapter, out / "of-hf.gguf"},
        {"merge-lora", f32, adapter, out / "of-f32.gguf", "--verify"},
        {"merge-lora", q8, adapter, out / "of-q8.gguf", "--outtype", "q8_0"},
        {"convert", hf, "--lora", adapter, "--outtype", "q4_k_m", "--outfile", out / "one.gguf"},
        {"logits", "-m", f32, "--lora", adapter, "--tokens", "1,681,262"},
        {"perplexity", "-m", q8, "-f", testing::TestData("models/eval-kjv.txt"), "--lora", adapter},
    };
  }
  // The same for adapters in PEFT's form.
  std::vector<std::vector<std::string>> PeftCommands(const fs::path& adapter,
                                                     const fs::path& out) const {
    auto commands = Commands(adapter, out);
    for (const fs::path& base : {hf, f32}) {
      commands.push_back({"convert-lora", adapter, "--base", base, "--outfile", out / "l.gguf"});
    }
    return commands;
  }
};

void CheckRefused(const std::vector<std::vector<std::string>>& commands, int exit_code,
                  const std::string& named, const fs::path& out) {
  for (const auto& command : commands) {
    CAPTURE(command[0]);
    CAPTURE(command[1]);
    const auto result = Quern(command);
    CAPTURE(result.err);
    CHECK(result.exit_code == exit_code);
    CHECK(result.err.find("error: ") != std::string::npos);
    CHECK(result.err.find(named) != std::string::npos);
    CHECK(result.out.empty());
    CHECK(NamesIn(out).empty());
  }
}

TEST_CASE("an adapter that does not fit is refused by name, by every command") {
  QUERN_NEEDS_SHARED(base, "models/tiny-llama");
  QUERN_NEEDS_SHARED(modern, "models/adapters/modern");
  const testing::TempDir dir;
  const Bases bases(base, dir);
  const AdapterFiles good = AdapterFiles::Read(modern);
  for (const Case& c : Cases()) {
    CAPTURE(c.what);
    AdapterFiles bad = good;
    c.change(bad);
    const testing::TempDir place;
    bad.Write(place / "adapter");
    fs::create_directory(place / "out");
    CheckRefused(bases.PeftCommands(place / "adapter", place / "out"), c.exit_code, c.named,
                 place / "out");
    // Nor does it pass as one of several.
    CheckRefused(
        {{"merge-lora", base, modern, place / "adapter", place / "out" / "x"},
         {"merge-lora", base, modern, place / "adapter", place / "out" / "x", "--combine", "cat"}},
        c.exit_code, c.named, place / "out");
  }
}

TEST_CASE("a weight of 0 and adapters that cancel each other are refused") {
  QUERN_NEEDS_SHARED(base, "models/tiny-llama");
  QUERN_NEEDS_SHARED(modern, "models/adapters/modern");
  const testing::TempDir dir, place;
  const Bases bases(base, dir);
  CheckRefused(bases.Commands(modern.string() + ":0", place.path()), 2, "adapter_model.safetensors",
               place.path());
  CheckRefused({{"merge-lora", base, modern, modern.string() + ":-1", place / "out"},
                {"logits", "-m", bases.f32, "--lora", modern, "--lora", modern.string() + ":-1",
                 "--tokens", "1"}},
               3, "cancel each other", place.path());
}

TEST_CASE("an adapter of another model is refused, in whatever they differ") {
  QUERN_NEEDS_SHARED(modern, "models/adapters/modern");
  struct Model {
    const char *name, *refused;
  };
  for (const Model& model :
       {Model{"families/llama-linear-bias", "layers.0.self_attn.q_proj.lora_A.weight"},
        Model{"families/mistral-headdim", "layers.0.self_attn.q_proj.lora_A.weight"},
        Model{"families/qwen3", "layers.0.self_attn.q_proj.lora_B.weight"}}) {
    CAPTURE(model.name);
    const auto base = testing::Shared(std::string("models/") + model.name);
    if (base.empty()) {
      testing::SaySkipped(model.name);
      continue;
    }
    const testing::TempDir dir, place;
    const Bases bases(base, dir);
    auto commands = bases.PeftCommands(modern, place.path());
    // --format pth is Llama's alone.
    commands.erase(commands.begin() + 1);
    CheckRefused(commands, 3, model.refused, place.path());
  }
}

// A GGUF adapter in memory.
struct GgufFiles {
  Metadata keys;
  std::vector<MemoryTensor> tensors;

  explicit GgufFiles(const fs::path& path) : keys(path.string()) {
    const auto file = GgufModel::Open(path);
    keys = file->metadata();
    for (size_t t = 0; t < file->tensors().size(); ++t) {
      const TensorInfo& info = file->tensors()[t];
      std::vector<float> values(static_cast<size_t>(info.elements()));
      const auto bytes = file->ReadAll(t);
      std::memcpy(values.data(), bytes.data(), bytes.size());
      tensors.push_back({info.name, info.shape, std::move(values)});
    }
  }
  MemoryTensor& At(const std::string& name) {
    for (MemoryTensor& tensor : tensors) {
      if (tensor.name == name) return tensor;
    }
    throw std::logic_error("there is no " + name);
  }
  void Write(const fs::path& path) const {
    const testing::MemorySource source("memory", tensors);
    GgufSink sink(path, keys, source.tensors(), Overwrite::kReplace);
    for (size_t t = 0; t < tensors.size(); ++t) sink.WriteRows(t, 0, source.ReadAll(t));
    sink.Commit();
  }
};

TEST_CASE("a GGUF adapter that does not fit is refused by name, by every command") {
  QUERN_NEEDS_SHARED(base, "models/tiny-llama");
  QUERN_NEEDS_SHARED(modern, "models/adapters/modern");
  const testing::TempDir dir;
  const Bases bases(base, dir);
  QuernDone({"convert-lora", modern, "--base", base, "--outfile", dir / "good.gguf"});
  struct GgufCase {
    const char* what;
    int exit_code;
    const char* named;
    std::function<void(GgufFiles&)> change;
  };
  const std::string q3 = "blk.3.attn_q.weight";
  const GgufCase kCases[] = {
      {"A alone", 3, "blk.3.attn_q.weight.lora_a",
       [&](GgufFiles& files) {
         std::erase_if(files.tensors, [&](const auto& t) { return t.name == q3 + ".lora_b"; });
       }},
      {"a weight that the family has not", 3, "blk.3.attn_qkv.weight.lora_a",
       [&](GgufFiles& files) {
         for (const char* part : {".lora_a", ".lora_b"}) {
           files.At(q3 + part).name = "blk.3.attn_qkv.weight" + std::string(part);
         }
       }},
      {"a layer that the base has not", 3, "layers.17.self_attn.q_proj",
       [&](GgufFiles& files) {
         for (const char* part : {".lora_a", ".lora_b"}) {
           files.At(q3 + part).name = "blk.17.attn_q.weight" + std::string(part);
         }
       }},
      {"another width", 3, "layers.3.self_attn.q_proj.lora_A",
       [&](GgufFiles& files) {
         files.At(q3 + ".lora_a").shape[0] = 255;
         files.At(q3 + ".lora_a").values.resize(255 * 8);
       }},
      {"NaN", 6, "layers.3.self_attn.q_proj.lora_B",
       [&](GgufFiles& files) { files.At(q3 + ".lora_b").values[5] = kNan; }},
      {"alpha that is no number", 3, "adapter.lora.alpha",
       [](GgufFiles& files) { files.keys.Set("adapter.lora.alpha", kNan); }},
      {"another architecture", 3, "'qwen3'",
       [](GgufFiles& files) { files.keys.Set("general.architecture", "qwen3"); }},
      {"another kind of tensor", 4, "blk.3.attn_q.weight.bias",
       [&](GgufFiles& files) { files.At(q3 + ".lora_a").name = q3 + ".bias"; }},
      {"only zeros", 3, "bad.gguf",
       [](GgufFiles& files) {
         for (MemoryTensor& tensor : files.tensors) {
           std::fill(tensor.values.begin(), tensor.values.end(), 0.0f);
         }
       }},
  };
  for (const GgufCase& c : kCases) {
    CAPTURE(c.what);
    GgufFiles bad(dir / "good.gguf");
    c.change(bad);
    const testing::TempDir place;
    bad.Write(place / "bad.gguf");
    fs::create_directory(place / "out");
    CheckRefused(bases.Commands(place / "bad.gguf", place / "out"), c.exit_code, c.named,
                 place / "out");
  }
}

}  // namespace
}  // namespace quern
