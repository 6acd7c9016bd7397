#include <doctest/doctest.h>

#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "gguf/gguf_reader.h"
#include "tests/support/paths.h"
#include "tests/support/process.h"

namespace quern {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::Quern;

bool SameTensors(const GgufModel& a, const GgufModel& b) {
  if (a.tensors().size() != b.tensors().size()) return false;
  for (size_t i = 0; i < a.tensors().size(); ++i) {
    const auto other = b.Find(a.tensors()[i].name);
    if (!other || a.tensors()[i].type != b.tensors()[*other].type) return false;
    if (a.ReadAll(i) != b.ReadAll(*other)) return false;
  }
  return true;
}

TEST_CASE("convert in one pass equals convert to bf16, then quantize") {
  QUERN_NEEDS_SHARED(model, "models/tiny-llama");
  testing::TempDir dir;
  const std::string whole = (dir / "bf16.gguf").string(), two = (dir / "two.gguf").string(),
                    one = (dir / "one.gguf").string();
  CHECK(Quern({"convert", model.string(), "--outfile", whole, "--outtype", "bf16"}).exit_code == 0);
  CHECK(Quern({"quantize", whole, two, "q4_k_m"}).exit_code == 0);
  const auto result = Quern({"convert", model.string(), "--outfile", one, "--outtype", "q4_k_m"});
  CHECK(result.exit_code == 0);
  CHECK(SameTensors(*GgufModel::Open(one), *GgufModel::Open(two)));
  CHECK(testing::ReadText(one) == testing::ReadText(two));
}

TEST_CASE("the type in the output's name, auto, the default name") {
  QUERN_NEEDS_SHARED(model, "models/families/qwen3");
  testing::TempDir dir;
  const auto named =
      Quern({"convert", model.string(), "--outfile", (dir / "m-{ftype}.gguf").string(), "--json"});
  CHECK(named.exit_code == 0);
  CHECK(fs::exists(dir / "m-bf16.gguf"));
  const json out = json::parse(named.out);
  CHECK(out["outtype"] == "BF16");
  CHECK(out["files"].size() == 1);
  CHECK(Quern({"convert", model.string(), "--outfile", dir.path().string(), "--outtype", "f16"})
            .exit_code == 0);
  CHECK(fs::exists(dir / "Qwen3-2.1M-F16.gguf"));
}

TEST_CASE("an output that exists is kept, --force replaces it, --dry-run writes nothing") {
  QUERN_NEEDS_SHARED(model, "models/families/qwen3");
  testing::TempDir dir;
  const std::string out = (dir / "m.gguf").string();
  testing::WriteText(out, "mine");
  CHECK(Quern({"convert", model.string(), "--outfile", out}).exit_code == 5);
  CHECK(Quern({"convert", model.string(), "--outfile", out, "--dry-run"}).exit_code == 0);
  CHECK(testing::ReadText(out) == "mine");
  CHECK(Quern({"convert", model.string(), "--outfile", out, "--force"}).exit_code == 0);
  CHECK(GgufModel::Open(out)->tensors().size() == 25);
}

TEST_CASE("splits hold the same tensors") {
  QUERN_NEEDS_SHARED(model, "models/families/qwen3");
  testing::TempDir dir;
  const std::string whole = (dir / "whole.gguf").string();
  CHECK(Quern({"convert", model.string(), "--outfile", whole}).exit_code == 0);
  CHECK(Quern({"convert", model.string(), "--outfile", (dir / "s.gguf").string(),
               "--split-max-size", "1M"})
            .exit_code == 0);
  fs::path first;
  for (const auto& entry : fs::directory_iterator(dir.path())) {
    if (entry.path().filename().string().starts_with("s-00001-of-")) first = entry.path();
  }
  REQUIRE(!first.empty());
  const auto split = GgufModel::Open(first);
  CHECK(split->file_count() > 1);
  CHECK(SameTensors(*GgufModel::Open(whole), *split));
  CHECK(Quern({"convert", model.string(), "--split-max-size", "x"}).exit_code == 2);
}

TEST_CASE("a vocabulary alone") {
  QUERN_NEEDS_SHARED(model, "models/tiny-llama");
  testing::TempDir dir;
  const std::string out = (dir / "vocab.gguf").string();
  CHECK(Quern({"convert", model.string(), "--vocab-only", "--outfile", out}).exit_code == 0);
  CHECK(GgufModel::Open(out)->tensors().empty());
  const auto ids = Quern({"tokenize", "-m", out, "-p", "Hello world", "--no-bos", "--json"});
  CHECK(json::parse(ids.out)["ids"] == json({632, 1683, 637}));
  const std::string bare = (dir / "bare.gguf").string();
  CHECK(Quern({"convert", (model / "tokenizer.model").string(), "--vocab-only", "--outfile", bare})
            .exit_code == 0);
  CHECK(Quern({"convert", (model / "tokenizer.model").string(), "--outfile", out}).exit_code == 2);
}

// A copy of a model whose files can be spoilt.
struct Copy {
  explicit Copy(const fs::path& model) {
    fs::create_directory(dir / "m");
    for (const auto& entry : fs::directory_iterator(model)) {
      fs::copy_file(entry.path(), dir / "m" / entry.path().filename().string());
      fs::permissions(dir / "m" / entry.path().filename().string(), fs::perms::owner_write,
                      fs::perm_options::add);
    }
  }
  testing::ProcessResult Convert() const {
    return Quern({"convert", (dir / "m").string(), "--outfile", (dir / "out.gguf").string()});
  }
  bool LeftNothing() const {
    for (const auto& entry : fs::directory_iterator(dir.path())) {
      if (entry.path().filename() != "m") return false;
    }
    return true;
  }
  testing::TempDir dir;
};

TEST_CASE("refusals have their exit codes and leave nothing") {
  QUERN_NEEDS_SHARED(model, "models/families/qwen3");
  SUBCASE("an architecture that is not known, checked before all else") {
    Copy copy(model);
    testing::WriteText(copy.dir / "m/config.json", R"({"architectures": ["GPT9"]})");
    testing::WriteText(copy.dir / "m/model.safetensors", "");
    const auto result = copy.Convert();
    CHECK(result.exit_code == 4);
    CHECK(result.err.find("GPT9") != std::string::npos);
    CHECK(copy.LeftNothing());
  }
  SUBCASE("a truncated checkpoint") {
    Copy copy(model);
    fs::resize_file(copy.dir / "m/model.safetensors", 100000);
    CHECK(copy.Convert().exit_code == 3);
    CHECK(copy.LeftNothing());
  }
  SUBCASE("NaN among the weights") {
    Copy copy(model);
    std::string bytes = testing::ReadText(copy.dir / "m/model.safetensors");
    bytes[bytes.size() - 1] = '\x7f';
    bytes[bytes.size() - 2] = '\xff';
    testing::WriteText(copy.dir / "m/model.safetensors", bytes);
    const auto result = copy.Convert();
    CHECK(result.exit_code == 6);
    CHECK(result.err.find(".weight") != std::string::npos);
    CHECK(copy.LeftNothing());
  }
  SUBCASE("no such folder, no such type") {
    CHECK(Quern({"convert", "/nowhere/at/all"}).exit_code == 3);
    CHECK(Quern({"convert", model.string(), "--outtype", "q99"}).exit_code == 2);
  }
}

}  // namespace
}  // namespace quern
